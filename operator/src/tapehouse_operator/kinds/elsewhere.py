"""What one resource reads of another: its spec, and what is told of it."""

import json
from collections.abc import Mapping
from typing import Any

from tapehouse_operator.emit.tables import PUBLISHED_KEY
from tapehouse_operator.kinds.contract import Observed


def text_at(spec: Mapping[str, Any], *path: str) -> str:
    """The text at `path` in another resource's spec, empty if there is none.

    Its own kind judges that spec; one that is malformed there must not trip us here.
    """
    value: Any = spec
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


def published(said: Observed | None) -> dict[str, Any]:
    """What the publisher tells of a table in its ConfigMap, empty if nothing yet."""
    text = said.data.get(PUBLISHED_KEY) if said else None
    document: dict[str, Any] = json.loads(text) if text else {}
    return document
