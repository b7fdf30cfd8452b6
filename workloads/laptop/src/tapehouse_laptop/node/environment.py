"""A container's environment variables and command line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tapehouse_laptop.kubeapi import Manifest
from tapehouse_laptop.node.expand import expand
from tapehouse_laptop.node.quantity import divided
from tapehouse_laptop.node.sources import SourceError, Sources, field, pick

NO_LIMIT = {"cpu": "1", "memory": "4Gi", "ephemeral-storage": "10Gi"}
"""What `resourceFieldRef` gives for a limit that is not set; a kubelet gives the node's size."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a container's variables come from."""

    pod: Manifest
    address: str
    sources: Sources
    defaults: Mapping[str, str]
    """What an image would set: PATH, HOME, …"""
    fixed: Mapping[str, str]
    """What the Pod cannot override on a laptop: the two roots, KUBECONFIG."""


def environment(container: Manifest, where: Surroundings) -> dict[str, str]:
    """The whole environment, in the Pod's order, so that later values may refer to earlier ones.

    Raises:
        SourceError: a ConfigMap, Secret or key is missing.
    """
    values = {**where.defaults, **where.fixed}
    for name, value in _imported(container, where):
        if name not in where.fixed:
            values[name] = value
    for entry in container.get("env") or ():
        name = entry["name"]
        if name in where.fixed:
            continue
        if "valueFrom" in entry:
            referred = _referred(entry["valueFrom"], container, where)
            if referred is not None:
                values[name] = referred
        else:
            values[name] = expand(entry.get("value", ""), values)
    return values


def command_line(container: Manifest, values: Mapping[str, str]) -> list[str]:
    """`command` and `args`, expanded.

    Raises:
        SourceError: there is no `command`: a laptop has no image to take one from.
    """
    command = container.get("command")
    if not command:
        raise SourceError(
            f"container {container['name']}: command is empty; the laptop has no images to take "
            "an entry point from: set command"
        )
    return [expand(word, values) for word in [*command, *(container.get("args") or ())]]


def _imported(container: Manifest, where: Surroundings) -> Iterator[tuple[str, str]]:
    namespace = where.pod["metadata"]["namespace"]
    for entry in container.get("envFrom") or ():
        prefix = entry.get("prefix", "")
        for kind, read in (
            ("configMapRef", where.sources.config_map),
            ("secretRef", where.sources.secret),
        ):
            if (reference := entry.get(kind)) is None:
                continue
            data = read(namespace, reference["name"])
            if data is None and not reference.get("optional"):
                raise SourceError(f'{kind.removesuffix("Ref")} "{reference["name"]}" not found')
            for key, value in (data or {}).items():
                yield prefix + key, value.decode(errors="replace")


def _referred(source: Manifest, container: Manifest, where: Surroundings) -> str | None:
    namespace = where.pod["metadata"]["namespace"]
    if reference := source.get("fieldRef"):
        return field(where.pod, reference["fieldPath"], where.address)
    if reference := source.get("resourceFieldRef"):
        return resource(container, reference)
    for kind, read in (
        ("configMapKeyRef", where.sources.config_map),
        ("secretKeyRef", where.sources.secret),
    ):
        if reference := source.get(kind):
            value = pick(
                read(namespace, reference["name"]),
                kind.removesuffix("KeyRef"),
                reference["name"],
                reference["key"],
                optional=bool(reference.get("optional")),
            )
            return None if value is None else value.decode(errors="replace")
    raise SourceError(f"valueFrom: {sorted(source)} cannot be had on the laptop")


def resource(container: Manifest, reference: Manifest) -> str:
    """A request or limit of the container itself, in units of the divisor."""
    section, _, name = reference["resource"].partition(".")
    resources = container.get("resources") or {}
    found = (resources.get(section) or {}).get(name)
    if found is None:
        found = (resources.get("limits") or {}).get(name, NO_LIMIT.get(name, "0"))
    return divided(found, reference.get("divisor") or "1")
