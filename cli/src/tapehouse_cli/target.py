"""Which cluster and namespace a command works on."""

import errno
import functools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click
from tapehouse_kube.errors import Unavailable
from tapehouse_laptop.state import State
from tapehouse_laptop.supervisor import Installation

if TYPE_CHECKING:
    from tapehouse_kube.client import HttpKube

T = TypeVar("T")
P = ParamSpec("P")
DEFAULT_KUBECONFIG = Path("~/.kube/config")


@dataclass(frozen=True, slots=True)
class Target:
    """The options `--namespace`, `--context` and `--kubeconfig`; empty ones were not given."""

    namespace: str = ""
    context: str = ""
    kubeconfig: str = ""

    def found_kubeconfig(self) -> str:
        """The kubeconfig to use; empty inside a Pod, where the service account is used.

        In this order: `--kubeconfig`, `$KUBECONFIG`, the Pod, the platform that runs in this
        directory or one above it, `~/.kube/config`. `--context` alone means the user's own.

        Raises:
            FileNotFoundError: there is none of them.
        """
        if given := self.kubeconfig or os.environ.get("KUBECONFIG", ""):
            return given
        if os.environ.get("KUBERNETES_SERVICE_HOST"):
            return ""
        state = State.find()
        if not self.context and (here := Installation.read(state)) and here.alive:
            return str(state.kubeconfig)
        usual = DEFAULT_KUBECONFIG.expanduser()
        if usual.exists():
            return str(usual)
        raise FileNotFoundError(
            f"no cluster found: nothing runs in {state.root}, KUBECONFIG is not set, and there is "
            f"no {DEFAULT_KUBECONFIG}; start a platform with `tapehouse up`, or give --kubeconfig"
        )


def targeted_by(*namespace: str) -> Callable[[Callable[P, T]], Callable[..., T]]:
    """Add the options of kubectl that choose a cluster: the argument `cluster`.

    `namespace` are the spellings of its first option.
    """

    def decorate(command: Callable[P, T]) -> Callable[..., T]:
        @click.option(*namespace, default="", metavar="NS", help="[default: the platform's]")
        @click.option("--context", default="", metavar="NAME", help="Context of the kubeconfig.")
        @click.option(
            "--kubeconfig",
            default="",
            metavar="FILE",
            help="[default: $KUBECONFIG, the platform that runs here, ~/.kube/config]",
        )
        @functools.wraps(command)
        def inner(*args: Any, namespace: str, context: str, kubeconfig: str, **rest: Any) -> T:
            target = Target(namespace, context, kubeconfig)
            return command(*args, cluster=target, **rest)  # type: ignore[arg-type]

        return inner

    return decorate


targeted = targeted_by("--namespace", "-n")


@asynccontextmanager
async def connected(target: Target) -> AsyncIterator[tuple["HttpKube", str]]:
    """A client and the namespace to work in.

    Raises:
        FileNotFoundError: no kubeconfig was found.
        ValueError: the kubeconfig lacks the context.
        Unavailable: the API server does not answer.
    """
    from tapehouse_kube.access import load_access
    from tapehouse_kube.client import HttpKube

    kubeconfig = target.found_kubeconfig()
    access = load_access(kubeconfig, target.context)
    try:
        async with HttpKube(access) as kube:
            yield kube, target.namespace or access.namespace
    except Unavailable as error:
        if not isinstance(error.__cause__, OSError):
            raise
        origin = kubeconfig or "the Pod's service account"
        raise Unavailable(
            f"the API server {access.server} ({origin}) does not answer: "
            f"{os.strerror(error.__cause__.errno or errno.ETIMEDOUT)}; is it running?"
        ) from error
