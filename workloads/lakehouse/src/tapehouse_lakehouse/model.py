"""The documents exchanged with the operator: JSON in ConfigMaps."""

from typing import Any

import msgspec

ROLE = "tapehouse.dev/role"
PUBLISH, TABLE, PUBLISHED = "publish", "table", "published"


class InvalidError(ValueError):
    """User input is invalid; the message names field, value and remedy."""


class _Spec(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class PublishIntent(_Spec, frozen=True):
    """`publish.json`: the tables of one job and the branch to publish."""

    job: str
    namespace: str
    revision: int
    branch: str
    tables: tuple[str, ...]
    checkpoints: str = ""
    """The URI of the job's checkpoints; empty: they are not read."""
    interval: float = 0.0
    """Seconds between two checkpoints."""


class Producer(_Spec, frozen=True):
    """What writes a table: `stream`, `transform` or `rows`."""

    type: str
    job: str = ""
    sql: str = ""
    inputs: tuple[str, ...] = ()
    schedule: str | None = None
    on_snapshot: bool = True
    recompute: str | None = None
    rows: tuple[dict[str, Any], ...] | None = None
    csv: str | None = None


class Compact(_Spec, frozen=True):
    """When small files are merged, and their target size."""

    target_file_size: str = "128Mi"
    min_files: int = 8
    every: str = "10m"


class Expire(_Spec, frozen=True):
    """Which snapshots are kept for time travel."""

    keep_last: int = 20
    older_than: str = "1h"


class Orphans(_Spec, frozen=True):
    """How old an unreferenced file must be before it is removed."""

    older_than: str = "1d"


class Maintenance(_Spec, frozen=True):
    """Maintenance of a table; a missing part is not run."""

    compact: Compact | None = None
    expire: Expire | None = None
    orphans: Orphans | None = None


class TypedColumn(_Spec, frozen=True):
    """One column, its type in Iceberg's grammar."""

    name: str
    type: str
    required: bool = False


class Publish(_Spec, frozen=True):
    """`Direct`, or `Audited` by the named suites."""

    mode: str = "Direct"
    suites: tuple[str, ...] = ()


class ScdAttributes(_Spec, frozen=True):
    """Columns with their own type of history."""

    columns: tuple[str, ...]
    type: int


class Scd(_Spec, frozen=True):
    """How a dimension's columns change: 1 overwrite, 2 new version, 3 previous value kept."""

    type: int = 2
    attributes: tuple[ScdAttributes, ...] = ()

    def of(self, column: str) -> int:
        """The type of one column."""
        return next((a.type for a in self.attributes if column in a.columns), self.type)


class TableSpec(_Spec, frozen=True):
    """`table.json`: the declaration of one LakehouseTable."""

    table: str
    identifier: str
    namespace: str
    producer: Producer
    suspend: bool = False
    key: tuple[str, ...] = ()
    publish: Publish = Publish()
    scd: Scd | None = None
    maintenance: Maintenance | None = None
    columns: tuple[TypedColumn, ...] = ()
    partition: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()


class Published(_Spec, frozen=True, omit_defaults=True):
    """`published.json`: the state of a table's `main`; written when it changes."""

    identifier: str
    revision: int
    branch: str
    ok: bool
    reason: str
    message: str
    restore: str = ""
    """The checkpoint from which a stalled job should restart."""


def parse(text: str | bytes, kind: type[msgspec.Struct]) -> Any:
    """Read one of the structures above.

    Raises:
        InvalidError: with the field's path, from msgspec's message.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise InvalidError(f"{kind.__name__}: {error}") from error
