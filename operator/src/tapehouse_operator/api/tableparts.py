"""The parts of a table's spec that are not its columns or its producer."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from tapehouse_operator.api.base import Model, Rule
from tapehouse_operator.api.types import (
    Boolean,
    Identifier,
    Integer,
    Name,
    Period,
    Size,
    Text,
)


class Classification(StrEnum):
    """How sensitive a column is."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    PII = "pii"


class Evolution(StrEnum):
    """Which changes of columns are made."""

    SAFE = "Safe"
    REVIEWED = "Reviewed"
    DESTRUCTIVE = "Destructive"


class ScdAttributes(Model):
    """How the history of some columns is kept."""

    columns: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=256)]
    """The columns. Example: [sector, company_name]."""
    type: Annotated[Integer, Field(ge=1, le=3)]
    """1 overwrites; 2 adds a row with its own validity; 3 keeps the previous value in
    `previous_<column>`."""


class Scd(Model):
    """A slowly changing dimension."""

    type: Annotated[Integer, Field(ge=1, le=3)] = 2
    """How columns not named in `attributes` are kept, 1, 2 or 3. Default: 2."""
    attributes: Annotated[tuple[ScdAttributes, ...], Field(max_length=16)] = ()
    """Columns that are kept in another way than `type`. Default: none."""


class Owner(Model):
    """Who answers for a table."""

    team: Annotated[str, Field(min_length=1, max_length=128)]
    """The team. Example: market-data."""
    contact: Annotated[str, Field(max_length=256)] = ""
    """How to reach it. Example: data@example.com."""


class Sla(Model):
    """What readers may rely on."""

    freshness: Period | None = None
    """The newest commit is never older than that while the market is open. Default: no promise.
    Example: 1m."""
    availability: (
        Annotated[str, Field(pattern=r"^[0-9]{1,3}(\.[0-9]{1,4})?%$", max_length=16)] | None
    ) = None
    """Share of the time it can be read. Default: no promise. Example: 99.9%."""


class Consumer(Model):
    """A reader outside Tapehouse."""

    keyed_by: ClassVar[tuple[str, ...]] = ("name",)

    name: Annotated[str, Field(min_length=1, max_length=128)]
    """The reader. Example: risk-desk."""
    columns: Annotated[tuple[Identifier, ...], Field(max_length=256)] = ()
    """The columns it depends on. Default: all."""
    incremental: Boolean = False
    """Whether it reads the changes of `main` in order, which a release interrupts; recorded for
    those who plan a release. Default: false."""


class PublishMode(StrEnum):
    """When readers see new data."""

    DIRECT = "Direct"
    AUDITED = "Audited"


class Publish(Model):
    """When readers see new data: they read `main`, which only the publisher moves."""

    invariants = (
        Rule(
            "self.mode != 'Audited' || has(self.suites)",
            "publish mode Audited needs at least one suite",
            lambda p: p.mode != PublishMode.AUDITED or bool(p.suites),
            field="suites",
        ),
    )

    mode: PublishMode = PublishMode.DIRECT
    """`Direct`: every commit; `Audited`: only snapshots that passed `suites`. Default: Direct."""
    suites: Annotated[tuple[Name, ...], Field(min_length=1, max_length=16)] = ()
    """QualitySuites in the same namespace that a snapshot must pass. Default: none."""


class Compact(Model):
    """Small files are merged."""

    target_file_size: Size = "128Mi"
    """What a merged file is to measure. Default: 128Mi."""
    min_files: Annotated[Integer, Field(ge=2, le=10000)] = 8
    """Merge a partition once it has that many small files, 2 to 10000. Default: 8."""
    every: Period = "10m"
    """How often to look. Default: 10m."""


class Expire(Model):
    """Old snapshots are removed."""

    keep_last: Annotated[Integer, Field(ge=1, le=100_000)] = 20
    """How many of the newest to keep whatever their age, 1 to 100000. Default: 20."""
    older_than: Period = "1h"
    """How far back time travel reaches; a job commits at every checkpoint. Default: 1h."""


class Orphans(Model):
    """Files that no snapshot names are removed."""

    older_than: Period = "1d"
    """How old they must be, since younger ones may be about to be committed. Default: 1d."""


class Maintenance(Model):
    """How files are kept few and old ones removed."""

    compact: Compact = Compact()
    """Small files are merged."""
    expire: Expire = Expire()
    """Old snapshots are removed, but never those a job or a branch needs."""
    orphans: Orphans = Orphans()
    """Files that no snapshot names are removed."""


class RowFilter(Model):
    """Which rows some roles see."""

    roles: Annotated[tuple[Name, ...], Field(min_length=1, max_length=32)]
    """The roles it is for."""
    where: Annotated[str, Field(min_length=1, max_length=4096)]
    """A condition in SQL; `{user}` and `{tenant}` stand for the caller's.
    Example: `sector = 'Tech'`."""


class MaskMethod(StrEnum):
    """What stands in the place of a masked value."""

    NULL = "null"
    HASH = "hash"
    PARTIAL = "partial"


class Mask(Model):
    """A column that is hidden."""

    column: Identifier
    """The column to hide."""
    method: MaskMethod = MaskMethod.NULL
    """`null` shows nothing, `hash` a stable pseudonym, `partial` the last four characters.
    Default: null."""
    unless: Annotated[tuple[Name, ...], Field(max_length=32)] = ()
    """Roles that see it as it is. Default: none."""


class Serve(Model):
    """How a table is served, to whom, and which of it."""

    graphql: Annotated[Text | None, Field(pattern=r"^[a-z][A-Za-z0-9]*$")] = None
    """The GraphQL query that gives its rows. Default: not served. Example: `trades`."""
    row_filters: Annotated[tuple[RowFilter, ...], Field(max_length=32)] = ()
    """Which rows some roles see. Default: all rows."""
    masks: Annotated[tuple[Mask, ...], Field(max_length=256)] = ()
    """Columns that are hidden. Default: those classified `pii` are masked by `null`."""
