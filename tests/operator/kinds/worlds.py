"""Worlds and outcomes as YAML."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml
from tapehouse_operator.api.base import Resource, parse
from tapehouse_operator.emit.core import Child, Column, ObjectKey, Table, TableState
from tapehouse_operator.errors import NotReady, SpecError
from tapehouse_operator.kinds import KINDS
from tapehouse_operator.kinds.contract import (
    Applied,
    Kind,
    Observed,
    RevisionRef,
    Verdict,
    World,
)
from tapehouse_operator.names import digest

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = {
    "environment": "local",
    "podNetwork": "127.77.0.0/16",
    "kafkaCluster": "tape",
    "kafkaListener": "internal",
    "catalogUri": "http://127.77.0.10:8181",
    "catalogPrefix": "",
    "stateUri": "file://$(TAPEHOUSE_DATA)/flink",
    "imageFeed": "tapehouse/feed:dev",
    "imageStreams": "tapehouse/streams:dev",
    "imageLakehouse": "tapehouse/lakehouse:dev",
    "imageQuery": "tapehouse/query:dev",
    "flinkVersion": "v2_1",
    "topicPartitions": "6",
    "topicReplicas": "1",
    "minInsyncReplicas": "1",
    "topicRetention": "7d",
    "deadLetterPartitions": "3",
    "deadLetterRetention": "7d",
    "parallelism": "2",
    "checkpointInterval": "5s",
    "maxFutureSkew": "1m",
    "logLevel": "INFO",
    "quality": "warn",
}
KAFKA = ObjectKey("kafka.strimzi.io/v1", "Kafka", "tape")
KAFKA_STATUS = {
    "listeners": [{"name": "internal", "bootstrapServers": "127.77.0.20:9092"}],
}


def observed(
    *,
    data: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    generation: int = 1,
) -> Observed:
    return Observed(
        uid="uid",
        resource_version="1",
        generation=generation,
        labels=labels or {},
        annotations=annotations or {},
        status=status or {},
        data=data or {},
    )


def world(**changes: Any) -> World:
    """A namespace with settings and a ready Kafka, and what `changes` adds."""
    objects = {KAFKA: observed(status=KAFKA_STATUS), **changes.pop("objects", {})}
    return World(**{"namespace": "tapehouse", "settings": SETTINGS, "objects": objects, **changes})


def kind_of(name: str) -> Kind[Any, Any]:
    return next(kind for kind in KINDS if kind.model.__name__ == name)


def resource(body: Mapping[str, Any] | str) -> Resource:
    """A resource from its YAML; the namespace is `tapehouse` unless it says otherwise."""
    found: dict[str, Any] = yaml.safe_load(body) if isinstance(body, str) else dict(body)
    metadata = {"namespace": "tapehouse", "generation": 1, **found["metadata"]}
    return parse(kind_of(found["kind"]).model, {**found, "metadata": metadata})


def validate(body: Mapping[str, Any] | str, where: World) -> Any:
    found = resource(body)
    kind = kind_of(found.kind)
    return kind.validate(kind.resolve(found, where), where)


def compiled(body: Mapping[str, Any] | str, where: World, number: int = 1) -> Any:
    found = resource(body)
    kind = kind_of(found.kind)
    found = kind.resolve(found, where)
    return kind.compile(kind.validate(found, where), revision(found, number))


def revision(found: Resource, number: int) -> RevisionRef:
    spec = found.spec.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    return RevisionRef(number, digest(spec), spec)


def refusal(body: Mapping[str, Any] | str, where: World) -> SpecError:
    """Why a resource is refused; fails when it is not."""
    try:
        validate(body, where)
    except SpecError as error:
        return error
    raise AssertionError("accepted")


def obstacle(body: Mapping[str, Any] | str, where: World) -> NotReady:
    """What a resource waits for; fails when it does not."""
    try:
        validate(body, where)
    except NotReady as error:
        return error
    raise AssertionError("ready")


# -- files -------------------------------------------------------------------------------------


def read_world(text: str, root: Path = ROOT) -> World:
    """A world from YAML.

    `settings` add to the usual ones, `kafka: false` takes Kafka away, and `accepted` names files
    of resources, below the repository's root, that are accepted and in sync.
    """
    found = yaml.safe_load(text) or {}
    made = _read_world(found)
    files = [root / path for path in found.get("accepted", ())]
    bodies = [body for path in files for body in yaml.safe_load_all(path.read_text())]
    return replace(made, objects={**neighbours(bodies, made), **made.objects})


def _read_world(found: Mapping[str, Any]) -> World:
    objects = {_key(o): _observed(o) for o in found.get("objects", ())}
    if found.get("kafka", True):
        objects.setdefault(KAFKA, observed(status=KAFKA_STATUS))
    return World(
        namespace=found.get("namespace", "tapehouse"),
        settings={**SETTINGS, **found.get("settings", {})},
        objects=objects,
        children={_key(o): _observed(o) for o in found.get("children", ())},
        claims={_key(o): o["owner"] for o in found.get("claims", ())},
        tables={t["identifier"]: _table_state(t) for t in found.get("tables", ())},
    )


def neighbours(bodies: Iterable[Mapping[str, Any]], where: World) -> dict[ObjectKey, Observed]:
    """Accepted resources as another one sees them: their spec, their status, their ConfigMaps."""
    seen: dict[ObjectKey, Observed] = {}
    for body in bodies:
        found = resource(body)
        kind = kind_of(found.kind)
        found = kind.resolve(found, where)
        output = kind.compile(kind.validate(found, where), revision(found, 1))
        in_sync = {"type": "SchemaInSync", "status": "True"}
        status = {"observedGeneration": 1, "conditions": [in_sync]}
        key = ObjectKey(found.api_version, found.kind, found.metadata.name)
        seen[key] = observed(data=body["spec"], status=status)
        for child in output.children:
            if child.key.kind == "ConfigMap":
                seen[child.key] = observed(data=child.manifest.get("data"))
    return seen


def read_applied(text: str, revision: int) -> Applied:
    """What is there after the apply: `children` and `tables` of the world."""
    found = read_world(text)
    return Applied(children=found.children, tables=found.tables, revision=revision)


def children_yaml(children: tuple[Child, ...], tables: tuple[Table, ...]) -> str:
    """The whole output, for people to review."""
    documents: list[Any] = [
        {**({"retain": True} if child.retain else {}), **child.manifest} for child in children
    ]
    documents += [{"table": _plain(asdict(table))} for table in tables]
    return _dump_all(documents)


def status_yaml(verdict: Verdict) -> str:
    return _dump_all(
        [
            {
                "conditions": [
                    c.model_dump(exclude_defaults=True) | {"counts": c.counts}
                    for c in verdict.conditions
                ],
                "children": [asdict(row) for row in verdict.children],
                "external": dict(verdict.external),
                "columns": dict(verdict.columns),
            }
        ]
    )


def refusal_yaml(error: SpecError | NotReady) -> str:
    if isinstance(error, NotReady):
        return _dump_all([{"waits": {"reason": str(error.reason), "message": error.message}}])
    said = {
        "reason": str(error.reason),
        "path": error.path,
        "value": error.value,
        "remedy": error.remedy,
    }
    return _dump_all([{"refused": said}])


class _Dumper(yaml.SafeDumper):
    """Long texts as blocks, no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", str(value), style="|" if "\n" in value else None
    )


_Dumper.add_representer(str, _text)
_Dumper.add_multi_representer(str, _text)


def _dump_all(documents: list[Any]) -> str:
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def _key(found: Mapping[str, Any]) -> ObjectKey:
    return ObjectKey(found["apiVersion"], found["kind"], found["name"])


def _observed(found: Mapping[str, Any]) -> Observed:
    fields = ("data", "status", "labels", "annotations", "generation")
    return observed(**{field: found[field] for field in fields if field in found})


def _table_state(found: Mapping[str, Any]) -> TableState:
    columns = tuple(Column(**column) for column in found.get("columns", ()))
    exists = found.get("exists", True)
    return TableState(
        **{"uuid": "0000", "schema_id": 0, **found, "exists": exists, "columns": columns}
    )
