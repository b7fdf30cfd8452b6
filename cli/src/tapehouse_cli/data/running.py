"""What the installation that runs here says of itself."""

import asyncio
import base64
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import yaml
from tapehouse_laptop.directory import SETTINGS
from tapehouse_laptop.errors import LaptopError
from tapehouse_laptop.kubeapi import CONFIG_MAPS, SECRETS, Key, Kube
from tapehouse_laptop.state import State

from tapehouse_cli.platform.up import check_alive

T = TypeVar("T")


def settings() -> dict[str, str]:
    """The environment's settings.

    Raises:
        LaptopError: nothing runs, or it has no settings yet.
    """
    return _asked(_settings)


def config(name: str, key: str) -> str:
    """One key of a ConfigMap.

    Raises:
        LaptopError: nothing runs, or there is no such ConfigMap.
    """
    return _asked(lambda kube, spaces: _config(kube, spaces, name, key))


def secret(name: str, key: str) -> str:
    """One key of a Secret.

    Raises:
        LaptopError: nothing runs, or there is no such Secret.
    """
    return _asked(lambda kube, spaces: _secret(kube, spaces, name, key))


def _asked(question: Callable[[Kube, list[str]], Coroutine[Any, Any, T]]) -> T:
    state = State.find()
    installation = check_alive(state)

    async def ask() -> T:
        async with Kube.connect(state.kubeconfig) as kube:
            return await question(kube, installation.namespaces)

    try:
        return asyncio.run(ask())
    except yaml.YAMLError as error:
        raise LaptopError(f"{state.kubeconfig}: not YAML: {error}") from error


async def _settings(kube: Kube, namespaces: list[str]) -> dict[str, str]:
    for namespace in namespaces:
        if found := await kube.get(CONFIG_MAPS, Key(namespace, SETTINGS)):
            return dict(found.get("data") or {})
    raise LaptopError(f"no ConfigMap {SETTINGS} in {', '.join(namespaces)}; see `tapehouse status`")


async def _config(kube: Kube, namespaces: list[str], name: str, key: str) -> str:
    for namespace in namespaces:
        found = await kube.get(CONFIG_MAPS, Key(namespace, name))
        if found and key in (found.get("data") or {}):
            return str(found["data"][key])
    raise LaptopError(f"no ConfigMap {name} with the key {key} in {', '.join(namespaces)}")


async def _secret(kube: Kube, namespaces: list[str], name: str, key: str) -> str:
    for namespace in namespaces:
        found = await kube.get(SECRETS, Key(namespace, name))
        if found and key in (found.get("data") or {}):
            return base64.b64decode(found["data"][key]).decode().strip()
    raise LaptopError(f"no Secret {name} with the key {key} in {', '.join(namespaces)}")
