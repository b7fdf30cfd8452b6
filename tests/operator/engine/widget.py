"""A kind small enough to see through, with everything a kind can have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from tapehouse_operator.api.base import (
    Change,
    ConditionType,
    Names,
    Reason,
    Resource,
    Spec,
    condition,
)
from tapehouse_operator.emit.core import Child, Column, ObjectKey, Table
from tapehouse_operator.errors import NotReady, SpecError
from tapehouse_operator.kinds.contract import (
    Applied,
    ChildHealth,
    Kind,
    Output,
    Preflight,
    Refs,
    RevisionRef,
    Verdict,
    World,
)
from tapehouse_operator.names import LABEL_ROLE, digest


class WidgetSpec(Spec):
    """A widget."""

    size: Annotated[int, Change.IN_PLACE] = 1
    """Must be less than 100."""
    rate: Annotated[float, Change.IN_PLACE] = 0.5
    """A number that may be whole."""
    parts: Annotated[tuple[str, ...], Change.RESTART] = ("a",)
    """One ConfigMap each."""
    needs: Annotated[str, Change.RESTART] = ""
    """A ConfigMap that must exist."""
    topic: Annotated[str, Change.REVISION] = ""
    """A retained, claimed child."""
    table: Annotated[str, Change.REVISION] = ""
    """A table outside Kubernetes."""
    sql: Annotated[str, Change.REVISION] = ""
    """Checked by a Pod."""


class Widget(Resource):
    """The resource."""

    names: ClassVar[Names] = Names("widgets", "wd")
    kind: Literal["Widget"] = "Widget"
    spec: WidgetSpec


@dataclass(frozen=True)
class WidgetPlan:
    name: str
    namespace: str
    spec: WidgetSpec
    needed: Mapping[str, Any]


class WidgetKind(Kind[Widget, WidgetPlan]):
    """See `Kind`."""

    model = Widget
    owned = (
        ("v1", "ConfigMap"),
        ("v1", "Pod"),
        ("apps/v1", "Deployment"),
        ("kafka.strimzi.io/v1", "KafkaTopic"),
    )

    def refs(self, resource: Widget, settings: Mapping[str, str]) -> Refs:
        spec = resource.spec
        return Refs(
            objects=frozenset({ObjectKey("v1", "ConfigMap", spec.needs)} if spec.needs else ()),
            claims=frozenset({_topic_key(spec.topic)} if spec.topic else ()),
            tables=frozenset({spec.table} if spec.table else ()),
        )

    def validate(self, resource: Widget, world: World) -> WidgetPlan:
        spec = resource.spec
        if spec.size >= 100:
            raise SpecError(Reason.INVALID, "spec.size", spec.size, "less than 100 is accepted")
        if spec.topic and (holder := world.claims.get(_topic_key(spec.topic))):
            raise SpecError(Reason.TOPIC_TAKEN, "spec.topic", spec.topic, f"{holder} owns it")
        needed = world.objects.get(ObjectKey("v1", "ConfigMap", spec.needs))
        if spec.needs and needed is None:
            raise NotReady(Reason.REFERENCE_NOT_FOUND, f"no ConfigMap {spec.needs}")
        name, namespace = resource.metadata.name, resource.metadata.namespace
        return WidgetPlan(name, namespace, spec, dict(needed.data) if needed else {})

    def reserved_revision(self, plan: WidgetPlan, *, first: bool) -> int:
        return int(plan.needed.get("revision", 0))

    def preflight(self, plan: WidgetPlan) -> Preflight | None:
        if not plan.spec.sql:
            return None
        text = _config(f"{plan.name}-sql", {"sql": plan.spec.sql}, role="check")
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{plan.name}-check-{digest(plan.spec.sql)[:8]}",
                "labels": {LABEL_ROLE: "check"},
            },
            "spec": {"containers": [{"name": "check", "args": [plan.spec.sql]}]},
        }
        return Preflight(Child(pod), needs=(text,))

    def compile(self, plan: WidgetPlan, revision: RevisionRef) -> Output:
        spec = plan.spec
        settings = {"size": str(spec.size), "revision": str(revision.number), **plan.needed}
        children = [_config(f"{plan.name}-{part}", settings) for part in spec.parts]
        if spec.topic:
            topic = {
                "apiVersion": "kafka.strimzi.io/v1",
                "kind": "KafkaTopic",
                "metadata": {"name": spec.topic},
                "spec": {"partitions": spec.size},
            }
            children.append(Child(topic, retain=spec.deletion_policy == "Retain"))
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": plan.name},
            "spec": {"replicas": 0 if spec.suspend else spec.size},
        }
        children.append(Child(deployment))
        owner = f"{plan.namespace}/{plan.name}"
        table = Table(spec.table, (Column("a", "int"),), owner=owner)
        return Output(tuple(children), (table,) if spec.table else ())

    def judge(self, plan: WidgetPlan, applied: Applied) -> Verdict:
        live = applied.children.get(ObjectKey("apps/v1", "Deployment", plan.name))
        ready = live is not None and live.status.get("observedGeneration") == live.generation
        rows = [ChildHealth("Deployment", plan.name, ready, "" if ready else "Starting")]
        rows += [
            ChildHealth("Table", t, state.exists and not state.error, state.error)
            for t, state in applied.tables.items()
        ]
        return Verdict(
            [condition(ConditionType.RUNNING, ready, Reason.RUNNING, counts=False)], rows
        )


def _topic_key(name: str) -> ObjectKey:
    return ObjectKey("kafka.strimzi.io/v1", "KafkaTopic", name)


def _config(name: str, data: Mapping[str, str], role: str = "part") -> Child:
    metadata = {"name": name, "labels": {LABEL_ROLE: role}}
    return Child(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}
    )
