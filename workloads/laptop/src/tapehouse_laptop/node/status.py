"""A Pod's status in the kubelet's own shape, from what is known of its containers. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tapehouse_laptop.kubeapi import Manifest

Instant = str
"""RFC 3339, UTC, whole seconds."""


def now() -> Instant:
    """This moment."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class Record:
    """What is known of one container."""

    name: str
    image: str
    state: dict[str, Any] = field(
        default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}}
    )
    last_state: dict[str, Any] = field(default_factory=dict)
    restarts: int = 0
    ready: bool = False
    started: bool = False

    def status(self) -> Manifest:
        """As one entry of `containerStatuses`."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": "",
            "state": self.state,
            "lastState": self.last_state,
            "restartCount": self.restarts,
            "ready": self.ready,
            "started": self.started,
        }

    @property
    def exit_code(self) -> int | None:
        """None unless it has ended."""
        ended = self.state.get("terminated")
        return None if ended is None else int(ended["exitCode"])


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    """The state of a container that does not run yet, or not now."""
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def is_final(code: int, policy: str) -> bool:
    """Whether a container that ended with `code` stays as it is."""
    return policy == "Never" or (policy == "OnFailure" and code == 0)


def phase(pod: Manifest, init: Sequence[Record], main: Sequence[Record]) -> str:
    """Pending, Running, Succeeded or Failed."""
    policy = pod["spec"].get("restartPolicy", "Always")
    codes = [record.exit_code for record in (*init, *main)]
    if any(code and is_final(code, policy) for code in codes[: len(init)]):
        return "Failed"
    if all(code == 0 for code in codes[: len(init)]):
        ended = codes[len(init) :]
        if all(code is not None and is_final(code, policy) for code in ended):
            return "Failed" if any(ended) else "Succeeded"
        if any("waiting" not in record.state or record.last_state for record in main):
            return "Running"
    return "Pending"


def status(
    pod: Manifest, address: str, started: Instant, init: Sequence[Record], main: Sequence[Record]
) -> Manifest:
    """The whole status, keeping conditions that others own."""
    current = phase(pod, init, main)
    before = {c["type"]: c for c in (pod.get("status") or {}).get("conditions") or ()}
    verdicts = list(_verdicts(current, init, main, address))
    ours = {verdict[0] for verdict in verdicts}
    others = [condition for kind, condition in before.items() if kind not in ours]
    result: Manifest = {
        "phase": current,
        "startTime": started,
        "hostIP": address or None,
        "podIP": address or None,
        "podIPs": [{"ip": address}] if address else None,
        "qosClass": (pod.get("status") or {}).get("qosClass", "BestEffort"),
        "containerStatuses": [record.status() for record in main],
        "conditions": others + [_condition(before.get(v[0]), *v) for v in verdicts],
    }
    if init:
        result["initContainerStatuses"] = [record.status() for record in init]
    return result


def _verdicts(
    current: str, init: Sequence[Record], main: Sequence[Record], address: str
) -> Iterable[tuple[str, bool, str, str]]:
    unfinished = [record.name for record in init if record.exit_code != 0]
    unready = [record.name for record in main if not record.ready]
    incomplete = ("ContainersNotInitialized", f"containers with incomplete status: {unfinished}")
    not_ready = ("ContainersNotReady", f"containers with unready status: {unready}")
    if current == "Succeeded":
        incomplete = not_ready = ("PodCompleted", "")
    good = not unfinished and not unready and current == "Running"
    yield ("PodReadyToStartContainers", bool(address), "", "")
    yield ("Initialized", not unfinished, *(incomplete if unfinished else ("", "")))
    yield ("ContainersReady", good, *(("", "") if good else not_ready))
    yield ("Ready", good, *(("", "") if good else not_ready))


def _condition(
    before: Manifest | None, kind: str, holds: bool, reason: str, message: str
) -> Manifest:
    said = "True" if holds else "False"
    moved = before is None or before["status"] != said
    condition: Manifest = {
        "type": kind,
        "status": said,
        "lastProbeTime": None,
        "lastTransitionTime": now() if before is None or moved else before["lastTransitionTime"],
    }
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition
