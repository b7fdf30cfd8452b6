"""How a child is sent, and whether it must be."""

from collections.abc import Mapping
from typing import Any

from tapehouse_operator.drift import lost_fields
from tapehouse_operator.emit.core import Child
from tapehouse_operator.kinds.contract import Observed, Subject
from tapehouse_operator.names import (
    ANNOTATION_HASH,
    API_VERSION,
    LABEL_MANAGED_BY,
    LABEL_OWNER,
    digest,
    owner_label,
)


def add_ownership(subject: Subject, child: Child) -> dict[str, Any]:
    """A child as it is sent: with what says whose it is and whether it has changed."""
    key = subject.key
    metadata = dict(child.manifest["metadata"])
    metadata["namespace"] = key.namespace
    metadata["labels"] = {
        **metadata.get("labels", {}),
        LABEL_MANAGED_BY: "tapehouse",
        LABEL_OWNER: owner_label(key.kind, key.name),
    }
    if not child.retain:
        metadata["ownerReferences"] = [
            {
                "apiVersion": API_VERSION,
                "kind": key.kind,
                "name": key.name,
                "uid": subject.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
    bare = {**child.manifest, "metadata": metadata}
    annotations = {**metadata.get("annotations", {}), ANNOTATION_HASH: digest(bare)}
    return {**bare, "metadata": {**metadata, "annotations": annotations}}


def outdated(manifest: Mapping[str, Any], live: Observed | None) -> bool:
    """Whether `live` was applied from something else than `manifest`, or not at all."""
    wanted = manifest["metadata"]["annotations"][ANNOTATION_HASH]
    return live is None or live.annotations.get(ANNOTATION_HASH) != wanted


def drifted(manifest: Mapping[str, Any], live: Observed) -> tuple[str, ...]:
    """The paths in `manifest` that others have changed since it was applied."""
    return lost_fields(manifest, live.fields)
