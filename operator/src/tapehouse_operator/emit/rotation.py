"""A Secret whose value changes: the workloads that use it start again, and nothing else does.

What a workload was seen with is an annotation of its object; only a later change reaches the Pod
template. So a Secret that appears after its workload, as Strimzi's do, restarts nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tapehouse_operator.emit.core import Manifest
from tapehouse_operator.names import GROUP, digest

ANNOTATION_SEEN = f"{GROUP}/secrets-seen"
"""On a workload: the Secrets it started with."""
ANNOTATION_ROTATED = f"{GROUP}/secrets-rotated"
"""On a workload and its Pod template: the Secrets as of their last change."""
DIGITS = 10
"""Of a digest: enough to tell a change, too few to find a value by trying."""


class Rotation(NamedTuple):
    """Both annotations; empty before there is anything to say."""

    seen: str = ""
    rotated: str = ""


class Used(NamedTuple):
    """A Secret as a workload uses it."""

    uid: str
    """Salts the digest, so that equal values in two Secrets look different."""
    values: Mapping[str, str]
    """Digests of the values used, by their keys."""


def rotation(live: Mapping[str, str] | None, secrets: Iterable[Used | None]) -> Rotation:
    """From the annotations of the live workload, if there is one, and all Secrets it uses.

    While one of them is missing nothing changes: it is about to be made again.
    """
    used = list(secrets)
    present = [secret for secret in used if secret is not None]
    now = _digest(present) if present and len(present) == len(used) else ""
    if live is None:
        return Rotation(now)
    known = Rotation(live.get(ANNOTATION_SEEN, ""), live.get(ANNOTATION_ROTATED, ""))
    if now in ("", known.seen):
        return known
    return Rotation(now, now if known.seen else known.rotated)


def with_rotation(manifest: Manifest, template: str, told: Rotation) -> Manifest:
    """A workload with both annotations; `template` is the field that holds its Pods' template."""
    own = {ANNOTATION_SEEN: told.seen, ANNOTATION_ROTATED: told.rotated}
    pods = manifest["spec"][template]
    rotated = {ANNOTATION_ROTATED: told.rotated}
    spec = {**manifest["spec"], template: _annotated(pods, rotated)}
    return _annotated({**manifest, "spec": spec}, own)


def _annotated(body: Mapping[str, Any], wanted: Mapping[str, str]) -> dict[str, Any]:
    said = {name: value for name, value in wanted.items() if value}
    if not said:
        return dict(body)
    metadata = body["metadata"]
    return {
        **body,
        "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), **said}},
    }


def _digest(secrets: Iterable[Used]) -> str:
    return digest([[s.uid, *(f"{k}={v}" for k, v in sorted(s.values.items()))] for s in secrets])[
        :DIGITS
    ]
