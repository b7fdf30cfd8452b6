"""Bad resources and bad changes: the API server and the models must refuse the same ones."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tapehouse_operator.api.base import Reason, Resource
from tapehouse_operator.shell.generate import MODELS

ROOT = Path(__file__).parents[3]
BY_KIND: Mapping[str, type[Resource]] = {model.__name__: model for model in MODELS}
GONE = object()
"""In a change: the field is removed."""


def example(kind: str) -> dict[str, Any]:
    """A resource that uses nearly every field of a kind, as a body of its own."""
    text = (Path(__file__).parent / "full" / f"{kind.lower()}.yaml").read_text()
    body: dict[str, Any] = yaml.safe_load(text)
    return body


def changed(body: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`body` with values set at dotted paths such as `spec.topics.0.name`."""
    out = deepcopy(dict(body))
    for path, value in changes.items():
        *parents, last = path.split(".")
        node: Any = out
        for part in parents:
            node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
        key: Any = int(last) if isinstance(node, list) else last
        if value is GONE:
            del node[key]
        elif isinstance(node, list) and key == len(node):
            node.append(value)
        else:
            node[key] = value
    return out


@dataclass(frozen=True)
class Bad:
    """A resource that is refused, told by the changes that spoil the example."""

    kind: str
    changes: Mapping[str, Any]
    path: str
    """The field that the models' error names."""
    reason: Reason = Reason.INVALID
    says: str = ""
    """What the API server's message has in it; default: the last name of `path`."""

    @property
    def body(self) -> dict[str, Any]:
        return changed(example(self.kind), self.changes)

    def __str__(self) -> str:
        return f"{self.kind}-{'-'.join(self.changes)}"


@dataclass(frozen=True)
class BadChange:
    """A change of a resource that is refused, from one state to the next."""

    kind: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    path: str
    reason: Reason = Reason.IMMUTABLE
    agreed: Mapping[str, Any] = field(default_factory=dict)
    """Further changes under which it is accepted; empty: it never is."""

    def __str__(self) -> str:
        return f"{self.kind}-{'-'.join(self.after)}"


BAD = [
    Bad("TradeFeed", {"metadata.name": "9market"}, "metadata.name"),
    Bad("TradeFeed", {"metadata.name": "m" * 41}, "metadata.name"),
    Bad("TradeFeed", {"spec.source": GONE}, "spec.source", Reason.MISSING_FIELD),
    Bad("TradeFeed", {"spec.source": {}}, "spec.source"),
    Bad("TradeFeed", {"spec.source.http": {"url": "https://x"}}, "spec.source"),
    Bad(
        "TradeFeed",
        {"spec.source": {"files": {"path": "a", "format": "jsonl", "columns": ["id"]}}},
        "spec.source.files",
        says="columns are declared for format csv only",
    ),
    Bad("TradeFeed", {"spec.sauce": {}}, "spec.sauce", Reason.UNKNOWN_FIELD),
    Bad(
        "TradeFeed",
        {"spec.topics.0.partition": 3},
        "spec.topics[0].partition",
        Reason.UNKNOWN_FIELD,
    ),
    Bad("TradeFeed", {"spec.topics.0.partitions": 0}, "spec.topics[0].partitions"),
    Bad("TradeFeed", {"spec.topics.0.partitions": "6"}, "spec.topics[0].partitions"),
    Bad("TradeFeed", {"spec.topics.0.retention": "a week"}, "spec.topics[0].retention"),
    Bad("TradeFeed", {"spec.topics.0.name": "Raw_Trades"}, "spec.topics[0].name"),
    Bad("TradeFeed", {"spec.topics.0.event": "Nope"}, "spec.topics", Reason.UNKNOWN_EVENT),
    Bad(
        "TradeFeed",
        {"spec.topics.1": {"event": "TradeExecuted", "name": "raw.other"}},
        "spec.topics",
        says="duplicate entries for key",
    ),
    Bad("TradeFeed", {"spec.preset": "market/v1"}, "spec", says="preset, events"),
    Bad("TradeFeed", {"spec.events": GONE}, "spec", says="preset, events"),
    Bad("TradeFeed", {"spec.events.0.key": "nope"}, "spec.events[0].key", Reason.UNKNOWN_COLUMN),
    Bad(
        "TradeFeed",
        {"spec.events.0.eventTime": "n"},
        "spec.events[0].eventTime",
        Reason.UNKNOWN_COLUMN,
    ),
    Bad(
        "TradeFeed",
        {"spec.events.0.rules.0.field": "n"},
        "spec.events[0].rules",
        Reason.UNKNOWN_COLUMN,
    ),
    Bad("TradeFeed", {"spec.events.0.fields.0.type": "Text!"}, "spec.events[0].fields[0].type"),
    Bad("TradeFeed", {"spec.mapping.0.fields.venue.from": "v"}, "spec.mapping[0].fields.venue"),
    Bad(
        "TradeFeed", {"spec.mapping.0.fields.price.scale": 0}, "spec.mapping[0].fields.price.scale"
    ),
    Bad("TradeFeed", {"spec.source.websocket.url": "http://x"}, "spec.source.websocket.url"),
    Bad(
        "TradeFeed",
        {"spec.source.websocket.replies.0.match.text": "ping"},
        "spec.source.websocket.replies[0].match",
    ),
    Bad("TradeFeed", {"spec.continuity.sequenceField": "a..b"}, "spec.continuity.sequenceField"),
    Bad("TradeFeed", {"spec.schema.compatibility": "BOTH"}, "spec.schema.compatibility"),
    Bad("TradeFeed", {"spec.deletionPolicy": "Orphan"}, "spec.deletionPolicy"),
    Bad("TradeFeed", {"spec.replicas": True}, "spec.replicas"),
    Bad(
        "StreamJob",
        {"spec.sqlFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}},
        "spec",
        says="sql, sqlFrom",
    ),
    Bad("StreamJob", {"spec.sql": GONE}, "spec", says="sql, sqlFrom"),
    Bad("StreamJob", {"spec.inputs": []}, "spec.inputs"),
    Bad("StreamJob", {"spec.inputs.0.event": GONE}, "spec.inputs[0]"),
    Bad("StreamJob", {"spec.inputs.0.table": "t"}, "spec.inputs[0]"),
    Bad("StreamJob", {"spec.inputs.1.event": "E"}, "spec.inputs[1]"),
    Bad("StreamJob", {"spec.inputs.1": {"as": "d", "event": "E"}}, "spec.inputs[1].feed"),
    Bad(
        "StreamJob", {"spec.inputs.1.as": "trades"}, "spec.inputs", says="duplicate entries for key"
    ),
    Bad("StreamJob", {"spec.inputs.1.unique": ["symbol"]}, "spec.inputs[1].unique"),
    Bad("StreamJob", {"spec.outputs.0.topic": "x"}, "spec.outputs[0]"),
    Bad("StreamJob", {"spec.outputs.1.columns": GONE}, "spec.outputs[1].columns"),
    Bad("StreamJob", {"spec.outputs.0.key": ["symbol"]}, "spec.outputs[0]"),
    Bad(
        "StreamJob", {"spec.outputs.1.key": ["nope"]}, "spec.outputs[1].key", Reason.UNKNOWN_COLUMN
    ),
    Bad(
        "StreamJob",
        {"spec.outputs.1.key": GONE, "spec.outputs.1.cleanup": "compact"},
        "spec.outputs[1].cleanup",
    ),
    Bad("StreamJob", {"spec.stateTtl": "0s"}, "spec.stateTtl"),
    Bad("StreamJob", {"spec.parallelism": 129}, "spec.parallelism"),
    Bad("StreamJob", {"spec.checkpoint.interval": "10"}, "spec.checkpoint.interval"),
    Bad("StreamJob", {"spec.checkpoint.interval": "0s"}, "spec.checkpoint.interval"),
    Bad("StreamJob", {"spec.resources.taskManager.cpu": "0"}, "spec.resources.taskManager.cpu"),
    Bad(
        "StreamJob", {"spec.upgrade": "stateless"}, "spec.upgrade", Reason.ACKNOWLEDGEMENT_REQUIRED
    ),
    Bad("StreamJob", {"spec.analysis.0.overlapDiff": {}}, "spec.analysis[0]"),
    Bad(
        "StreamJob",
        {"spec.resources.taskManager.memory": "2GB"},
        "spec.resources.taskManager.memory",
    ),
    Bad("LakehouseTable", {"spec.identifier": "trades"}, "spec.identifier"),
    Bad("LakehouseTable", {"spec.stream": GONE}, "spec", says="stream, transform, rows"),
    Bad(
        "LakehouseTable",
        {"spec.rows": {"inline": [{"a": 1}]}},
        "spec",
        says="stream, transform, rows",
    ),
    Bad("LakehouseTable", {"spec.key": ["nope"]}, "spec.key", Reason.UNKNOWN_COLUMN),
    Bad(
        "LakehouseTable",
        {"spec.columns.1.name": "trade_id"},
        "spec.columns",
        says="duplicate entries for key",
    ),
    Bad("LakehouseTable", {"spec.columns.0.type": "varchar(3);"}, "spec.columns[0].type"),
    Bad(
        "LakehouseTable",
        {"spec.partition": ["week(event_time)"]},
        "spec.partition[0]",
        says="spec.partition[0]",
    ),
    Bad("LakehouseTable", {"spec.publish.suites": GONE}, "spec.publish.suites"),
    Bad(
        "LakehouseTable",
        {"spec.evolution": "Destructive"},
        "spec.evolution",
        Reason.ACKNOWLEDGEMENT_REQUIRED,
    ),
    Bad("LakehouseTable", {"spec.scd": {"type": 4}}, "spec.scd.type"),
    Bad(
        "LakehouseTable",
        {
            "spec.stream": GONE,
            "spec.transform": {"sql": "SELECT 1", "inputs": ["a"], "onSnapshot": False},
        },
        "spec.transform.schedule",
    ),
    Bad(
        "LakehouseTable",
        {"spec.stream": GONE, "spec.rows": {}},
        "spec.rows",
    ),
    Bad("QualitySuite", {"spec.target.feed": "binance"}, "spec.target"),
    Bad("QualitySuite", {"spec.expectations.0.severity": "fatal"}, "spec.expectations[0].severity"),
    Bad("QualitySuite", {"spec.expectations": []}, "spec.expectations"),
    Bad("QualitySuite", {"spec.schedule": "now and then"}, "spec.schedule"),
    Bad("Dashboard", {"spec.charts.0.dataset": "nope"}, "spec.charts"),
    Bad("Dashboard", {"spec.datasets.0.sql": "SELECT 1"}, "spec.datasets[0]"),
    Bad("Dashboard", {"spec.charts.0.type": "radar"}, "spec.charts[0].type"),
    Bad(
        "Dashboard", {"spec.providers": ["tableau"]}, "spec.providers[0]", says="spec.providers[0]"
    ),
]

BAD_CHANGES = [
    BadChange("TradeFeed", {}, {"spec.topics.0.name": "raw.other"}, "spec.topics[0].name"),
    BadChange("TradeFeed", {}, {"spec.topics.0.partitions": 3}, "spec.topics[0].partitions"),
    BadChange(
        "TradeFeed",
        {},
        {"spec.schema.compatibility": "NONE"},
        "spec.schema",
        Reason.ACKNOWLEDGEMENT_REQUIRED,
        {"spec.acknowledge": ["WeakerCompatibility"]},
    ),
    BadChange(
        "TradeFeed",
        {"spec.schema.compatibility": "FULL"},
        {"spec.schema.compatibility": "FORWARD"},
        "spec.schema",
        Reason.ACKNOWLEDGEMENT_REQUIRED,
        {"spec.acknowledge": ["WeakerCompatibility"]},
    ),
    BadChange("StreamJob", {}, {"spec.maxParallelism": 256}, "spec.maxParallelism"),
    BadChange("LakehouseTable", {}, {"spec.identifier": "silver.other"}, "spec.identifier"),
    BadChange(
        "LakehouseTable",
        {},
        {"spec.columns.6": GONE},
        "spec.columns",
        Reason.DESTRUCTIVE_CHANGE,
        {"spec.evolution": "Destructive", "spec.acknowledge": ["DataLoss"]},
    ),
    BadChange(
        "LakehouseTable",
        {},
        {"spec.columns.2.name": "instrument"},
        "spec.columns",
        Reason.DESTRUCTIVE_CHANGE,
        {"spec.columns.2.previousName": "symbol", "spec.sort": ["instrument"]},
    ),
    BadChange(
        "LakehouseTable",
        {},
        {"spec.columns.4.type": "int"},
        "spec.columns[4].type",
        Reason.INCOMPATIBLE_CHANGE,
    ),
    BadChange(
        "LakehouseTable",
        {},
        {"spec.columns.2.required": True},
        "spec.columns[2].required",
        Reason.INCOMPATIBLE_CHANGE,
    ),
]

GOOD_CHANGES = [
    ("TradeFeed", {"spec.topics.0.partitions": 12, "spec.topics.0.retention": "1d"}),
    ("TradeFeed", {"spec.schema.compatibility": "FULL"}),
    ("StreamJob", {"spec.parallelism": 4, "spec.upgrade": "lastState"}),
    ("LakehouseTable", {"spec.columns.7": {"name": "fee", "type": "double"}}),
    ("LakehouseTable", {"spec.columns.3.type": "decimal(20,4)"}),
    (
        "LakehouseTable",
        {"spec.columns.6.type": "list<struct<price: double, quantity: long, n: int>>"},
    ),
]
