"""LakehouseTable: an Iceberg table, and what the lakehouse workload must know of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tapehouse_operator.api.base import Condition, ConditionType, Reason, condition
from tapehouse_operator.api.lakehousetable import LakehouseTable, LakehouseTableSpec
from tapehouse_operator.api.tableparts import Evolution
from tapehouse_operator.emit import iceberg
from tapehouse_operator.emit.consumers import Source
from tapehouse_operator.emit.core import Child, Table, TableState
from tapehouse_operator.emit.dimensions import check_rows, check_scd
from tapehouse_operator.emit.evolution import (
    Policy,
    check_evolution,
    check_readers,
    check_reviewed,
    vanishing,
)
from tapehouse_operator.emit.manifests import config_map, document
from tapehouse_operator.emit.platform import Platform
from tapehouse_operator.emit.sql import SqlError, inserts
from tapehouse_operator.emit.tables import TABLE_KEY, Published, published_name, table_name
from tapehouse_operator.emit.tablespec import (
    check_consumers,
    check_layout,
    columns_of,
    document_of,
    refuse_unfinished,
)
from tapehouse_operator.errors import SpecError
from tapehouse_operator.kinds.contract import (
    Applied,
    ChildHealth,
    Kind,
    Output,
    Refs,
    RevisionRef,
    Verdict,
    World,
    config_key,
    resource_key,
)
from tapehouse_operator.kinds.elsewhere import consumers_of, text_at
from tapehouse_operator.names import LABEL_ROLE

_PUBLISHER_REASONS = {
    "AwaitingCheckpoint": Reason.NOT_PUBLISHED,
    "CommitStalled": Reason.COMMIT_STALLED,
    "ChecksFailed": Reason.CHECKS_FAILED,
}
"""The publisher's words for what it could not move; all others are failures of its own."""


@dataclass(frozen=True, slots=True)
class TablePlan:
    """A table the catalog can make as declared."""

    name: str
    table: Table
    document: Mapping[str, Any]
    """`table.json`."""
    published: Published | None
    """What the publisher last reported."""


class LakehouseTableKind(Kind[LakehouseTable, TablePlan]):
    """See `contract.Kind`."""

    model = LakehouseTable
    planned_first = True
    owned = (("v1", "ConfigMap"),)

    def refs(self, resource: LakehouseTable, settings: Mapping[str, str]) -> Refs:
        """The table itself; its job, for what it writes; what the publisher says."""
        spec = resource.spec
        objects = {config_key(published_name(resource.metadata.name))}
        if spec.stream is not None:
            objects.add(resource_key("StreamJob", spec.stream.job))
        for table in spec.transform.inputs if spec.transform else ():
            objects |= {resource_key("LakehouseTable", table), config_key(table_name(table))}
        if spec.rows is not None and spec.rows.csv_from is not None:
            objects.add(config_key(spec.rows.csv_from.config_map_key_ref.name))
        identifier = _identifier(resource, settings.get("catalogPrefix", ""))
        return Refs(objects=frozenset(objects), tables=frozenset({identifier}), consumers=True)

    def validate(self, resource: LakehouseTable, world: World) -> TablePlan:
        """Refuse types, keys, layouts and changes that the table cannot have."""
        platform = Platform.of(world.settings)
        spec, name = resource.spec, resource.metadata.name
        refuse_unfinished(spec)
        columns = columns_of(spec)
        check_layout(spec, columns)
        check_scd(spec, columns)
        check_rows(spec, columns)
        table = iceberg.table(
            _identifier(resource, platform.catalog_prefix),
            columns,
            owner=f"{world.namespace}/{name}",
            key=spec.key,
            partition=spec.partition,
            sort=spec.sort,
            allow_drop=spec.evolution is Evolution.DESTRUCTIVE,
        )
        _check_live(table, name, spec, world)
        return TablePlan(
            name=name,
            table=table,
            document=document_of(
                resource, world.namespace, table, _inputs(spec, world), _csv(spec, world)
            ),
            published=world.published(name),
        )

    def compile(self, plan: TablePlan, revision: RevisionRef) -> Output:
        """The table, and what the publisher and maintenance must know of it."""
        data = {TABLE_KEY: document(plan.document)}
        child = Child(config_map(table_name(plan.name), data, {LABEL_ROLE: "table"}))
        return Output(children=(child,), tables=(plan.table,))

    def judge(self, plan: TablePlan, applied: Applied) -> Verdict:
        """The table as the catalog has it; `main` as the publisher says."""
        live = applied.tables.get(plan.table.identifier)
        in_sync = live is not None and live.exists and not live.error
        problem = live.error if live else "not looked at yet"
        why = Reason.IN_SYNC if in_sync else Reason.OUT_OF_SYNC
        conditions = [condition(ConditionType.SCHEMA_IN_SYNC, in_sync, why, problem)]
        if plan.published:
            conditions.append(_published_condition(plan.published))
        columns = {"table": plan.table.identifier, "producer": _producer_name(plan.document)}
        external = {}
        if live is not None and live.exists:
            columns |= {"tableUUID": live.uuid}
            external = {"tableUUID": live.uuid, "schemaId": str(live.schema_id)}
        return Verdict(
            conditions=conditions,
            children=(ChildHealth("Table", plan.table.identifier, in_sync, problem),),
            external=external,
            columns=columns,
        )


def _inputs(spec: LakehouseTableSpec, world: World) -> tuple[str, ...]:
    """The identifiers of what a transform reads."""
    names = spec.transform.inputs if spec.transform else ()
    found = []
    for index, name in enumerate(names):
        if not world.has("LakehouseTable", name):
            path = f"spec.transform.inputs[{index}]"
            remedy = f"no LakehouseTable {name} in namespace {world.namespace}; apply it"
            raise SpecError(Reason.TABLE_NOT_FOUND, path, name, remedy)
        found.append(world.table(name).identifier)
    return tuple(found)


def _csv(spec: LakehouseTableSpec, world: World) -> str | None:
    """The text of declared rows that are kept in a ConfigMap."""
    if spec.rows is None or spec.rows.csv_from is None:
        return None
    ref = spec.rows.csv_from.config_map_key_ref
    text = world.text(ref.name, ref.key)
    if text is None:
        remedy = f"ConfigMap {ref.name} has no key {ref.key}; add it"
        path, value = "spec.rows.csvFrom", f"{ref.name}/{ref.key}"
        raise SpecError(Reason.REFERENCE_NOT_FOUND, path, value, remedy)
    return text


def _check_live(table: Table, name: str, spec: LakehouseTableSpec, world: World) -> None:
    live: TableState | None = world.tables.get(table.identifier)
    lost = vanishing(live.columns, table.columns) if live and live.exists else ()
    check_consumers(spec, table.columns, set(lost))
    if live is None or not live.exists:
        return
    owner = live.properties.get(iceberg.OWNER_PROPERTY, table.owner)
    if owner != table.owner:
        remedy = f"the table belongs to {owner}; name another identifier"
        raise SpecError(Reason.TABLE_TAKEN, "spec.identifier", spec.identifier, remedy)
    policy = Policy(
        drops=spec.evolution is Evolution.DESTRUCTIVE,
        written=_written(spec, world),
        writer=spec.stream.job if spec.stream else "",
    )
    check_evolution(live.columns, table.columns, policy)
    if spec.evolution is Evolution.REVIEWED:
        check_reviewed(live, table)
    if lost:
        specs = consumers_of(world, ", ".join(lost))
        check_readers(lost, Source("LakehouseTable", name), specs, spec.consumers)


def _written(spec: LakehouseTableSpec, world: World) -> frozenset[str]:
    """The columns that the table's job names in its INSERT, as far as its spec shows them."""
    job = world.objects.get(resource_key("StreamJob", spec.stream.job)) if spec.stream else None
    try:
        statements = inserts(text_at(job.data, "sql")) if job else ()
    except SqlError:
        return frozenset()
    return frozenset(
        column
        for statement in statements
        if statement.target == spec.identifier
        for column in statement.columns
    )


def _published_condition(report: Published) -> Condition:
    if report.ok:
        return condition(ConditionType.PUBLISHED, True, Reason.PUBLISHED, report.message)
    reason = _PUBLISHER_REASONS.get(report.reason, Reason.PUBLISH_FAILED)
    return condition(ConditionType.PUBLISHED, False, reason, report.message)


def _identifier(resource: LakehouseTable, prefix: str) -> str:
    return f"{prefix}{resource.spec.identifier}"


def _producer_name(table: Mapping[str, Any]) -> str:
    producer = table["producer"]
    return f"stream/{producer['job']}" if producer["type"] == "stream" else str(producer["type"])
