"""Revisions and the names of their branches."""

import re
from collections.abc import Collection

REVISION = re.compile(r"rev-(\d+)")


def origin(branches: Collection[str], branch: str, source: str) -> str | None:
    """Where `branch` starts: `source`, else the newest revision's branch before it, else None."""
    if source in branches:
        return source
    own = _number(branch)
    earlier = [name for name in branches if 0 < _number(name) < own]
    return max(earlier, key=_number, default=None)


def _number(branch: str) -> int:
    """The revision of `rev-00012`; 0 for a branch that is no revision's."""
    found = REVISION.fullmatch(branch)
    return int(found[1]) if found else 0
