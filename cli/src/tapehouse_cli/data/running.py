"""Settings, ConfigMaps and Secrets of the environment that a data command works on."""

import asyncio
import base64
from collections.abc import Mapping

from tapehouse_laptop.directory import SETTINGS
from tapehouse_laptop.errors import LaptopError

from tapehouse_cli.target import Target, connected


def settings(target: Target) -> dict[str, str]:
    """The environment's settings.

    Raises:
        LaptopError: the namespace has no settings.
        FileNotFoundError: no cluster was found.
    """
    return dict(asyncio.run(_data(target, "ConfigMap", SETTINGS)))


def config(target: Target, name: str, key: str) -> str:
    """One key of a ConfigMap.

    Raises:
        LaptopError: there is no such ConfigMap, or it lacks the key.
        FileNotFoundError: no cluster was found.
    """
    return _value(asyncio.run(_data(target, "ConfigMap", name)), name, key)


def secret(target: Target, name: str, key: str) -> str:
    """One key of a Secret.

    Raises:
        LaptopError: there is no such Secret, or it lacks the key.
        FileNotFoundError: no cluster was found.
    """
    encoded = _value(asyncio.run(_data(target, "Secret", name)), name, key)
    return base64.b64decode(encoded).decode().strip()


async def _data(target: Target, kind: str, name: str) -> Mapping[str, str]:
    from tapehouse_kube.objects import Ref

    async with connected(target) as (kube, namespace):
        body = await kube.get(Ref("v1", kind, namespace, name))
    if body is None:
        raise LaptopError(f"namespace {namespace} has no {kind} {name}; see `tapehouse status`")
    data: Mapping[str, str] = body.get("data") or {}
    return data


def _value(data: Mapping[str, str], name: str, key: str) -> str:
    if key not in data:
        raise LaptopError(f"{name} has no key {key}; it has {', '.join(sorted(data)) or 'none'}")
    return data[key]
