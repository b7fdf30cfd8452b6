"""What one resource reads in the spec of another."""

from collections.abc import Mapping
from typing import Any


def text_at(spec: Mapping[str, Any], *path: str) -> str:
    """The text at `path` in another resource's spec, empty if there is none.

    Its own kind judges that spec; one that is malformed there must not trip us here.
    """
    value: Any = spec
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""
