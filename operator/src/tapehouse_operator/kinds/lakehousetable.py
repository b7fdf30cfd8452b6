"""LakehouseTable: an Iceberg table, and what the lakehouse workload must know of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tapehouse_operator.api.base import Condition, ConditionType, Reason, condition
from tapehouse_operator.api.icetypes import IceType, StructOf, parse_type
from tapehouse_operator.api.lakehousetable import LakehouseTable, LakehouseTableSpec
from tapehouse_operator.api.tableparts import Evolution, PublishMode
from tapehouse_operator.emit import iceberg
from tapehouse_operator.emit.core import Child, Column, ObjectKey, Table, TableState
from tapehouse_operator.emit.evolution import Policy, check_evolution
from tapehouse_operator.emit.manifests import config_map, document
from tapehouse_operator.emit.platform import Platform
from tapehouse_operator.emit.sql import SqlError, inserts
from tapehouse_operator.emit.tables import PUBLISHED_KEY, TABLE_KEY, published_name, table_name
from tapehouse_operator.errors import SpecError
from tapehouse_operator.kinds.contract import (
    Applied,
    ChildHealth,
    Observed,
    Output,
    Preflight,
    Refs,
    RevisionRef,
    Verdict,
    World,
)
from tapehouse_operator.names import API_VERSION, LABEL_ROLE

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
    published: Mapping[str, Any] | None
    """`published.json`, as the publisher last wrote it."""


class LakehouseTableKind:
    """See `contract.Kind`."""

    model = LakehouseTable
    owned: tuple[tuple[str, str], ...] = (("v1", "ConfigMap"),)

    def refs(self, resource: LakehouseTable, settings: Mapping[str, str]) -> Refs:
        """The table itself; its job, for what it writes; what the publisher says."""
        objects = {ObjectKey("v1", "ConfigMap", published_name(resource.metadata.name))}
        if resource.spec.stream is not None:
            objects.add(_job_key(resource.spec.stream.job))
        identifier = _identifier(resource, settings.get("catalogPrefix", ""))
        return Refs(objects=frozenset(objects), tables=frozenset({identifier}))

    def validate(self, resource: LakehouseTable, world: World) -> TablePlan:
        """Refuse types, keys, layouts and changes that the table cannot have."""
        platform = Platform.of(world.settings)
        spec, name = resource.spec, resource.metadata.name
        _refuse_unfinished(spec)
        columns = _columns(spec)
        _check_layout(spec, columns)
        owner = f"{world.namespace}/{name}"
        table = iceberg.table(
            _identifier(resource, platform.catalog_prefix),
            columns,
            owner=owner,
            key=spec.key,
            partition=spec.partition,
            sort=spec.sort,
            allow_drop=spec.evolution is Evolution.DESTRUCTIVE,
        )
        live = world.tables.get(table.identifier)
        if live is not None:
            _check_live(live, table, spec, world)
        said = world.objects.get(ObjectKey("v1", "ConfigMap", published_name(name)))
        return TablePlan(
            name=name,
            table=table,
            document=_document(resource, world.namespace, table),
            published=_published(said),
        )

    def preflight(self, plan: TablePlan) -> Preflight | None:
        """Nothing to try out."""
        return None

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
        if plan.published is not None:
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


def _refuse_unfinished(spec: LakehouseTableSpec) -> None:
    """What the API can say and this version cannot do yet is refused, never ignored."""
    asked = (
        ("spec.transform", spec.transform is not None, "fill it by a stream"),
        ("spec.rows", spec.rows is not None, "fill it by a stream"),
        ("spec.scd", spec.scd is not None, "leave it out"),
        ("spec.retention", spec.retention is not None, "leave it out: rows are kept for ever"),
        (
            "spec.publish.mode",
            spec.publish.mode is not PublishMode.DIRECT,
            "use Direct: readers see every commit",
        ),
        ("spec.serve.rowFilters", bool(spec.serve.row_filters), "leave it out"),
        ("spec.serve.masks", bool(spec.serve.masks), "leave it out"),
    )
    for path, used, remedy in asked:
        if used:
            field = path.rpartition(".")[2]
            raise SpecError(
                Reason.UNSUPPORTED, path, field, f"this version cannot do that yet; {remedy}"
            )


def _columns(spec: LakehouseTableSpec) -> tuple[Column, ...]:
    seen: dict[str, str] = {}
    for place, column in enumerate(spec.columns):
        other = seen.setdefault(column.name.lower(), column.name)
        if other != column.name or [c.name for c in spec.columns].count(column.name) > 1:
            remedy = f"column {other} has the same name but for case; name it otherwise"
            raise SpecError(Reason.INVALID, f"spec.columns[{place}].name", column.name, remedy)
    return tuple(
        Column(
            name=column.name,
            type=str(parse_type(column.type)),
            required=column.required,
            doc=column.doc,
            previous_name=column.previous_name,
        )
        for column in spec.columns
    )


def _check_layout(spec: LakehouseTableSpec, columns: Sequence[Column]) -> None:
    for place, text in enumerate(spec.partition):
        path = f"spec.partition[{place}]"
        try:
            _check_transform(iceberg.transform(text), columns, path, text)
        except ValueError as error:
            raise SpecError(Reason.INVALID, path, text, str(error)) from error
    for place, text in enumerate(spec.sort):
        path = f"spec.sort[{place}]"
        try:
            _check_transform(iceberg.sort_term(text).transform, columns, path, text)
        except ValueError as error:
            raise SpecError(Reason.INVALID, path, text, str(error)) from error


def _check_transform(
    term: iceberg.Transform, columns: Sequence[Column], path: str, text: str
) -> None:
    type_ = _type_of(term.column, columns)
    if type_ is None:
        remedy = f"the columns are {', '.join(c.name for c in columns)}"
        raise SpecError(Reason.UNKNOWN_COLUMN, path, text, remedy)
    if not term.takes(type_):
        raise SpecError(Reason.INVALID_TYPE, path, text, f"{term.name} takes no {type_}")


def _type_of(path: str, columns: Sequence[Column]) -> IceType | None:
    """The type at a dotted path, through structs only."""
    head, *rest = path.split(".")
    found = next((parse_type(c.type) for c in columns if c.name == head), None)
    for part in rest:
        found = dict(found.fields).get(part) if isinstance(found, StructOf) else None
    return found


def _check_live(live: TableState, table: Table, spec: LakehouseTableSpec, world: World) -> None:
    if not live.exists:
        return
    owner = live.properties.get(iceberg.OWNER_PROPERTY, table.owner)
    if owner != table.owner:
        remedy = f"the table belongs to {owner}; name another identifier"
        raise SpecError(Reason.TABLE_TAKEN, "spec.identifier", spec.identifier, remedy)
    policy = Policy(
        drops=spec.evolution is Evolution.DESTRUCTIVE,
        frozen=spec.evolution is Evolution.REVIEWED,
        written=_written(spec, world),
        writer=spec.stream.job if spec.stream else "",
    )
    check_evolution(live.columns, table.columns, policy)


def _written(spec: LakehouseTableSpec, world: World) -> frozenset[str]:
    """The columns that the table's job names in its INSERT, as far as its spec shows them."""
    job = world.objects.get(_job_key(spec.stream.job)) if spec.stream else None
    try:
        statements = inserts(job.data.get("sql") or "") if job else ()
    except SqlError:
        return frozenset()
    return frozenset(
        column
        for statement in statements
        if statement.target == spec.identifier
        for column in statement.columns
    )


def _document(resource: LakehouseTable, namespace: str, table: Table) -> dict[str, Any]:
    spec = resource.spec
    classes = {c.name: c.classification.value for c in spec.columns if c.classification}
    return {
        "table": resource.metadata.name,
        "identifier": spec.identifier,
        "namespace": namespace,
        "key": list(spec.key),
        "producer": {"type": "stream", "job": spec.stream.job if spec.stream else ""},
        "publish": {"mode": spec.publish.mode.value, "suites": list(spec.publish.suites)},
        "scd": None,
        "maintenance": spec.maintenance.model_dump(by_alias=True, mode="json"),
        "columns": [
            {
                "name": column.name,
                "type": column.type,
                "required": column.required,
                "classification": classes.get(column.name),
            }
            for column in table.columns
        ],
        "partition": list(table.partition),
        "sort": list(table.sort),
    }


def _producer_name(table: Mapping[str, Any]) -> str:
    producer = table["producer"]
    return f"{producer['type']}/{producer['job']}"


def _published(said: Observed | None) -> Mapping[str, Any] | None:
    text = said.data.get(PUBLISHED_KEY) if said else None
    if not text:
        return None
    document: dict[str, Any] = json.loads(text)
    return document


def _published_condition(said: Mapping[str, Any]) -> Condition:
    if said["ok"]:
        return condition(ConditionType.PUBLISHED, True, Reason.PUBLISHED, said.get("message", ""))
    known = _PUBLISHER_REASONS.get(said.get("reason", ""), Reason.PUBLISH_FAILED)
    return condition(ConditionType.PUBLISHED, False, known, said.get("message", ""))


def _identifier(resource: LakehouseTable, prefix: str) -> str:
    return f"{prefix}{resource.spec.identifier}"


def _job_key(job: str) -> ObjectKey:
    return ObjectKey(API_VERSION, "StreamJob", job)
