"""Secrets as workloads use them, and as the world shows them."""

from collections.abc import Iterable

from tapehouse_operator.emit.core import ObjectKey
from tapehouse_operator.emit.rotation import Rotation, Used, rotation
from tapehouse_operator.kinds.contract import World


def secret_key(name: str) -> ObjectKey:
    """The Secret of that name."""
    return ObjectKey("v1", "Secret", name)


def deployment_key(name: str) -> ObjectKey:
    """The Deployment of that name."""
    return ObjectKey("apps/v1", "Deployment", name)


def rotation_of(
    workload: ObjectKey, secrets: Iterable[tuple[str, frozenset[str]]], world: World
) -> Rotation:
    """What is told of the Secrets, by name and keys used, that a workload of ours mounts."""
    live = world.children.get(workload)
    return rotation(
        None if live is None else live.annotations, [_used(s, keys, world) for s, keys in secrets]
    )


def _used(name: str, keys: frozenset[str], world: World) -> Used | None:
    seen = world.objects.get(secret_key(name))
    if seen is None or not keys <= seen.data.keys():
        return None
    return Used(seen.uid, {key: str(seen.data[key]) for key in keys})
