"""One row of a recorded file."""

from collections.abc import Mapping
from typing import Any

import msgspec
from tapehouse_tape.events import Invalid


class Row(msgspec.Struct, gc=False):
    """One row: its bytes as in the file, and its members if they are known already."""

    original: bytes
    members: Mapping[str, Any] | None = None
    refusal: Invalid | None = None
    """Why it cannot be taken, where reading it has shown that."""
