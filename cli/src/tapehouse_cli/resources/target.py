"""Which cluster and namespace a command is about, as kubectl's options say it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tapehouse_operator.backends.client import HttpKube


@dataclass(frozen=True, slots=True)
class Place:
    """What is empty is as the kubeconfig says."""

    namespace: str = ""
    context: str = ""
    kubeconfig: str = ""


@asynccontextmanager
async def connected(place: Place) -> AsyncIterator[tuple["HttpKube", str]]:
    """A client and the namespace to work in."""
    from tapehouse_operator.backends.access import load_access
    from tapehouse_operator.backends.client import HttpKube

    access = load_access(place.kubeconfig, place.context)
    async with HttpKube(access) as kube:
        yield kube, place.namespace or access.namespace
