"""What a stack is made of, as data: read from `environments/`, checked once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar

import yaml

T = TypeVar("T")
FIELDS = ("quota", "limits", "allow", "operator")


class StackError(Exception):
    """A file of a stack is missing or wrong; the message names file, field, value and remedy."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who may be talked to, or may talk to us, and on which TCP ports."""

    ports: tuple[int, ...]
    namespace: str = ""
    """A namespace of the cluster; empty when `cidr` is set."""
    cidr: str = ""
    """A range of addresses."""


@dataclass(frozen=True, slots=True)
class Stack:
    """One environment."""

    name: str
    namespace: str
    """Where its resources and workloads live: what its overlay says."""
    quota: Mapping[str, str]
    """Hard limits over the whole namespace, as in a ResourceQuota."""
    limits: Mapping[str, Mapping[str, str]]
    """`default`, `defaultRequest` and `max` of a container, as in a LimitRange."""
    allowed_from: tuple[Peer, ...]
    allowed_to: tuple[Peer, ...]
    operator: Mapping[str, Any]
    """Values of the operator's chart."""

    @property
    def system_namespace(self) -> str:
        """Where its operator lives, away from what the quota counts."""
        return f"{self.namespace}-system"


def load(environments: Path, name: str) -> Stack:
    """Read `<name>/kustomization.yaml` and `stacks/<name>.yaml` in `environments`.

    Raises:
        StackError: one of them is missing, or something in it is wrong.
    """
    overlay = _read(environments / name / "kustomization.yaml")
    body = _read(environments / "stacks" / f"{name}.yaml")
    body.only(FIELDS)
    limits, allow = body.nested("limits"), body.nested("allow")
    allow.only(("from", "to"))
    return Stack(
        name=name,
        namespace=overlay.text("namespace"),
        quota=body.nested("quota").texts(),
        limits={key: limits.nested(key).texts() for key in limits.of},
        allowed_from=allow.peers("from"),
        allowed_to=allow.peers("to"),
        operator=body.nested("operator").of,
    )


@dataclass(frozen=True, slots=True)
class _Body:
    """A mapping somewhere in a file."""

    path: Path
    field: str
    of: Mapping[str, Any]

    def only(self, known: Sequence[str]) -> None:
        for key in self.of:
            if key not in known:
                raise self._wrong(key, self.of[key], f"the fields here are {', '.join(known)}")

    def nested(self, key: str) -> "_Body":
        return _Body(self.path, self._at(key), self._get(key, dict, "a mapping is expected"))

    def text(self, key: str) -> str:
        return self._get(key, str, "a text is expected; quote a number")

    def texts(self) -> dict[str, str]:
        return {key: self.text(key) for key in self.of}

    def peers(self, key: str) -> tuple[Peer, ...]:
        found: list[Any] = self._get(key, list, "a list is expected")
        return tuple(self._peer(f"{key}[{index}]", item) for index, item in enumerate(found))

    def _peer(self, key: str, item: Any) -> Peer:
        body = item if isinstance(item, dict) else {}
        ports = body.get("ports")
        if {*body} not in ({"namespace", "ports"}, {"cidr", "ports"}):
            raise self._wrong(key, item, "`ports` and one of `namespace`, `cidr` are expected")
        if not isinstance(ports, list) or not ports or not all(map(_is_port, ports)):
            raise self._wrong(f"{key}.ports", ports, "a list of ports, 1 to 65535, is expected")
        try:
            ip_network(body.get("cidr", "0.0.0.0/0"))
        except ValueError as error:
            raise self._wrong(f"{key}.cidr", body["cidr"], f"{error}") from None
        return Peer(tuple(ports), body.get("namespace", ""), body.get("cidr", ""))

    def _get(self, key: str, kind: type[T], remedy: str) -> T:
        value = self.of.get(key)
        if not isinstance(value, kind):
            raise self._wrong(key, value, remedy)
        return value

    def _at(self, key: str) -> str:
        return f"{self.field}.{key}" if self.field else key

    def _wrong(self, key: str, value: Any, remedy: str) -> StackError:
        return StackError(f"{self.path}: {self._at(key)} is {value!r}: {remedy}")


def _is_port(value: Any) -> bool:
    return type(value) is int and 0 < value < 65536


def _read(path: Path) -> _Body:
    try:
        body = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        known = sorted(p.stem for p in (path.parents[1] / "stacks").glob("*.yaml"))
        raise StackError(f"{path} is missing; the stacks are {', '.join(known)}") from None
    except yaml.YAMLError as error:
        raise StackError(f"{path} is not YAML: {error}") from None
    if not isinstance(body, dict):
        raise StackError(f"{path}: a mapping is expected")
    return _Body(path, "", body)
