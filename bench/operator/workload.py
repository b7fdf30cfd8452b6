"""What is measured: many resources of one kind, and what their children are.

`Trio` is a kind with exactly three children, written against the same contract as the five of the
product and served by the same engine. `TradeFeed` is the product's own, with seven.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from tapehouse_operator.api.base import Change, Names, Resource, Spec
from tapehouse_operator.decision import AnyKind
from tapehouse_operator.emit import strimzi
from tapehouse_operator.emit.core import Child, ObjectKey
from tapehouse_operator.emit.manifests import config_map
from tapehouse_operator.kinds.contract import (
    Applied,
    ChildHealth,
    Kind,
    Output,
    Refs,
    RevisionRef,
    Verdict,
    World,
)
from tapehouse_operator.kinds.tradefeed import TradeFeedKind
from tapehouse_operator.names import API_VERSION

REFUSED_KEY = "not a key"
"""A ConfigMap with it is refused by every API server."""


class TrioSpec(Spec):
    """A topic, its user and their settings."""

    rate: Annotated[int, Change.IN_PLACE] = 1
    """Changes the ConfigMap alone."""
    broken: Annotated[bool, Change.IN_PLACE] = False
    """The API server will refuse the ConfigMap."""


class Trio(Resource):
    """The resource."""

    names: ClassVar[Names] = Names("trios", "trio")
    kind: Literal["Trio"] = "Trio"
    spec: TrioSpec


class TrioKind(Kind[Trio, Trio]):
    """See `contract.Kind`."""

    model = Trio
    owned = (
        ("v1", "ConfigMap"),
        (strimzi.API_VERSION, "KafkaTopic"),
        (strimzi.API_VERSION, "KafkaUser"),
    )

    def refs(self, resource: Trio, settings: Mapping[str, str]) -> Refs:
        """Nothing."""
        return Refs()

    def validate(self, resource: Trio, world: World) -> Trio:
        """Everything stands."""
        return resource

    def compile(self, plan: Trio, revision: RevisionRef) -> Output:
        """A topic, a user, a ConfigMap."""
        name = plan.metadata.name
        grants = (*strimzi.writes(name), strimzi.group(name))
        data = {"rate": str(plan.spec.rate), **({REFUSED_KEY: ""} if plan.spec.broken else {})}
        return Output(
            (
                Child(strimzi.kafka_topic(strimzi.Topic(name, 6, 1, 1), "tape")),
                Child(strimzi.kafka_user(name, "tape", grants)),
                Child(config_map(name, data)),
            )
        )

    def judge(self, plan: Trio, applied: Applied) -> Verdict:
        """Nothing stands in for Strimzi here: an existing object is ready."""
        keys = [ObjectKey(*kind, plan.metadata.name) for kind in self.owned]
        rows = [ChildHealth(key.kind, key.name, key in applied.children) for key in keys]
        return Verdict(children=rows)


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind, and resources of it."""

    kind: AnyKind
    body: Callable[[str], dict[str, Any]]
    """The resource of that name, without a namespace."""
    changed: dict[str, Any]
    """A spec, as a merge patch, which changes one child."""
    broken: dict[str, Any]
    """A change that cannot be brought about."""
    mended: dict[str, Any]
    """What takes it back."""

    @property
    def name(self) -> str:
        """The kind."""
        return str(self.kind.model.__name__)

    def change(self, number: int) -> dict[str, Any]:
        """The merge patch of change `number`: each differs from the one before."""
        return {"spec": _numbered(self.changed, number)}


def _numbered(value: Any, number: int) -> Any:
    if isinstance(value, dict):
        return {name: _numbered(item, number) for name, item in value.items()}
    return number if value is ... else value


def _trio(name: str) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Trio",
        "metadata": {"name": name},
        "spec": {"rate": 1},
    }


def _feed(name: str) -> dict[str, Any]:
    fields = [
        {"name": "symbol", "type": "string", "required": True},
        {"name": "price", "type": "double", "required": True},
        {"name": "timestamp", "type": "timestamptz", "required": True},
    ]
    event = {"name": "Trade", "key": "symbol", "eventTime": "timestamp", "fields": fields}
    spec = {
        "events": [event],
        "topics": [{"event": "Trade", "name": name}],
        "source": {"simulator": {"symbols": ["AAPL"], "tradesPerSecond": 1}},
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "TradeFeed",
        "metadata": {"name": name},
        "spec": spec,
    }


WORKLOADS = {
    "trio": Workload(TrioKind(), _trio, {"rate": ...}, {"broken": True}, {"broken": False}),
    "tradefeed": Workload(
        TradeFeedKind(),
        _feed,
        {"source": {"simulator": {"tradesPerSecond": ...}}},
        {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
        {"resources": None},
    ),
}
