"""The documents that a LakehouseTable, its job and the publisher exchange, as typed values.

They travel as JSON in ConfigMaps; here is the only place in the operator that reads them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TABLE_KEY = "table.json"
PUBLISHED_KEY = "published.json"
STALLED = "CommitStalled"
"""The publisher's reason for a table whose job goes on without committing to it."""


def table_name(table: str) -> str:
    """The ConfigMap with the document of an accepted table."""
    return f"{table}-table"


def published_name(table: str) -> str:
    """The ConfigMap in which the publisher reports the state of `main`."""
    return f"{table}-published"


@dataclass(frozen=True, slots=True)
class AcceptedTable:
    """`table.json`, as far as other kinds use it."""

    identifier: str
    job: str = ""
    """The StreamJob that fills it, if one does."""
    columns: Mapping[str, bool] = field(default_factory=dict)
    """By name: whether it is required."""
    partition: tuple[str, ...] = ()

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "AcceptedTable | None":
        """From the ConfigMap's data; None before the table is accepted."""
        text = data.get(TABLE_KEY)
        if not text:
            return None
        document = json.loads(text)
        return cls(
            identifier=document["identifier"],
            job=document["producer"].get("job", ""),
            columns={column["name"]: column["required"] for column in document["columns"]},
            partition=tuple(document["partition"]),
        )


@dataclass(frozen=True, slots=True)
class Published:
    """`published.json`: what the publisher last reported about a table."""

    ok: bool
    reason: str = ""
    message: str = ""
    revision: int = 0
    """The job's revision whose data readers see; 0: the table has no such data."""

    @property
    def is_stalled(self) -> bool:
        """Whether the job goes on without committing to the table."""
        return self.reason == STALLED

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "Published | None":
        """From the ConfigMap's data; None before the first report."""
        text = data.get(PUBLISHED_KEY)
        document = json.loads(text) if text else None
        if not document:
            return None
        return cls(
            ok=bool(document.get("ok", False)),
            reason=document.get("reason", ""),
            message=document.get("message", ""),
            revision=int(document.get("revision", 0)),
        )
