"""Resources from files, compiled as the operator would, without a cluster."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from tapehouse_laptop.controlplane import binaries
from tapehouse_laptop.directory import SETTINGS, Directory
from tapehouse_laptop.errors import LaptopError
from tapehouse_operator.api.base import ConditionType, parse
from tapehouse_operator.api.lakehousetable import LakehouseTable
from tapehouse_operator.api.streamjob import StreamJob
from tapehouse_operator.api.tradefeed import TradeFeed
from tapehouse_operator.emit import strimzi
from tapehouse_operator.emit.core import Child, ObjectKey
from tapehouse_operator.emit.jobspec import sinks_of
from tapehouse_operator.emit.records import ANNOTATION_COLUMNS, describe
from tapehouse_operator.kinds.contract import Observed, RevisionRef, World
from tapehouse_operator.kinds.lakehousetable import LakehouseTableKind
from tapehouse_operator.kinds.topics import topic_key
from tapehouse_operator.kinds.tradefeed import TradeFeedKind
from tapehouse_operator.names import API_VERSION

Manifest = dict[str, Any]
USUAL = {
    "kafkaCluster": "tape",
    "kafkaListener": "internal",
    "catalogUri": "http://127.0.0.1:8181",
    "stateUri": "file:///flink",
    "imageFeed": "tapehouse/feed:dev",
    "imageStreams": "tapehouse/streams:dev",
    "flinkVersion": "v2_1",
    "topicPartitions": "1",
    "topicReplicas": "1",
    "minInsyncReplicas": "1",
    "topicRetention": "7d",
    "deadLetterPartitions": "1",
    "deadLetterRetention": "7d",
    "parallelism": "1",
    "checkpointInterval": "5s",
    "maxFutureSkew": "1m",
    "logLevel": "INFO",
}
"""What an environment says, where none is given: nothing of it reaches the data but the skew."""


@dataclass(frozen=True, slots=True)
class Declared:
    """Resources of one environment, by kind and name."""

    manifests: Mapping[tuple[str, str], Manifest]

    @classmethod
    def read(cls, directory: Path | None, file: Path | None = None) -> "Declared":
        """Those of a directory, as kustomize renders it, and those of a file, which go before.

        Raises:
            LaptopError: one of them is not there, or not YAML.
        """
        documents: list[Manifest] = []
        if directory is not None:
            documents += Directory.read(directory, binaries.find_or_build()["kubectl"]).manifests
        if file is not None:
            documents += documents_in(file)
        return cls({(each["kind"], each["metadata"]["name"]): each for each in documents})

    @property
    def settings(self) -> dict[str, str]:
        """The environment's settings."""
        found = self.manifests.get(("ConfigMap", SETTINGS), {})
        return {**USUAL, **(found.get("data") or {})}

    def names(self, kind: str) -> list[str]:
        """The resources of a kind."""
        return sorted(name for each, name in self.manifests if each == kind)

    def find(self, kind: str, name: str) -> Manifest:
        """One resource.

        Raises:
            LaptopError: there is none of that name; lists those there are.
        """
        found = self.manifests.get((kind, name))
        if found is None:
            known = ", ".join(self.names(kind)) or "none"
            raise LaptopError(f"no {kind} {name}; there are: {known}")
        return placed(found)

    def world(self, objects: Mapping[ObjectKey, Observed] | None = None) -> World:
        """What a kind looks at: the settings, a broker, config maps, and `objects`."""
        settings = self.settings
        listener = {"name": settings["kafkaListener"], "bootstrapServers": "127.0.0.1:9092"}
        broker = ObjectKey(strimzi.API_VERSION, "Kafka", settings["kafkaCluster"])
        configs = {
            ObjectKey("v1", "ConfigMap", name): observed(data=manifest.get("data") or {})
            for (kind, name), manifest in self.manifests.items()
            if kind == "ConfigMap"
        }
        found = {broker: observed(status={"listeners": [listener]}), **configs, **(objects or {})}
        return World(namespace="default", settings=settings, objects=found)

    def feed(self, name: str) -> dict[str, Mapping[str, Any]]:
        """The data of the ConfigMaps a feed compiles to.

        Raises:
            LaptopError: there is no such feed.
            SpecError: it is refused.
        """
        kind, manifest = TradeFeedKind(), self.find("TradeFeed", name)
        plan = kind.validate(parse(TradeFeed, manifest), self.world())
        return _configs(kind.compile(plan, _first(manifest)).children)

    def table(self, name: str) -> dict[str, Mapping[str, Any]]:
        """The data of the ConfigMaps a table compiles to; raises as `feed`."""
        kind, manifest = LakehouseTableKind(), self.find("LakehouseTable", name)
        plan = kind.validate(parse(LakehouseTable, manifest), self.world())
        return _configs(kind.compile(plan, _first(manifest)).children)

    def accepted(self, feeds: Iterable[str], tables: Iterable[str]) -> World:
        """The world once these feeds and tables have been accepted and made; raises as `feed`."""
        objects = self._written()
        in_sync = {"type": ConditionType.SCHEMA_IN_SYNC, "status": "True"}
        ready = observed(status={"conditions": [in_sync], "observedGeneration": 1})
        for kind, names, compiled in (
            ("TradeFeed", feeds, self.feed),
            ("LakehouseTable", tables, self.table),
        ):
            for name in names:
                objects[ObjectKey(API_VERSION, kind, name)] = ready
                for config, data in compiled(name).items():
                    objects[ObjectKey("v1", "ConfigMap", config)] = observed(data=data)
        return self.world(objects)

    def _written(self) -> dict[ObjectKey, Observed]:
        """The topics of all jobs, as other jobs find them."""
        ready = {"conditions": [{"type": "Ready", "status": "True"}], "observedGeneration": 1}
        return {
            topic_key(sink.topic): replace(
                observed(ready), annotations={ANNOTATION_COLUMNS: describe(sink.fields)}
            )
            for name in self.names("StreamJob")
            for sink in sinks_of(parse(StreamJob, self.find("StreamJob", name)).spec)
        }


def documents_in(file: Path) -> list[Manifest]:
    """The resources in a file.

    Raises:
        LaptopError: it is not YAML, or holds something else.
    """
    try:
        found = [each for each in yaml.safe_load_all(file.read_text()) if each is not None]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LaptopError(f"{file}: not YAML: {' '.join(str(error).split())}") from error
    for each in found:
        if not isinstance(each, dict) or "kind" not in each or not _name(each):
            raise LaptopError(f"{file}: a resource has kind and metadata.name; one here has not")
    return found


def only(file: Path, kind: str) -> str:
    """The name of the one resource of a kind in a file.

    Raises:
        LaptopError: there is none, or more than one.
    """
    found = documents_in(file)
    names = [_name(each) for each in found if each["kind"] == kind]
    if len(names) != 1:
        there = ", ".join(f"{each['kind']}/{_name(each)}" for each in found) or "nothing"
        raise LaptopError(f"{file}: one {kind} is expected; it has {there}")
    return names[0]


def placed(manifest: Manifest) -> Manifest:
    """The resource in a namespace: the one it names, or any."""
    return {**manifest, "metadata": {"namespace": "default", **manifest["metadata"]}}


def observed(
    status: Mapping[str, Any] | None = None, data: Mapping[str, Any] | None = None
) -> Observed:
    """A live object with nothing but what is looked at."""
    return Observed("", "", 1, {}, {}, status or {}, data or {})


def _name(document: Manifest) -> str:
    metadata = document.get("metadata")
    return str(metadata.get("name") or "") if isinstance(metadata, dict) else ""


def _first(manifest: Manifest) -> RevisionRef:
    return RevisionRef(1, "", json.loads(json.dumps(manifest["spec"], default=str)))


def _configs(children: Iterable[Child]) -> dict[str, Mapping[str, Any]]:
    return {
        child.key.name: child.manifest.get("data", {})
        for child in children
        if child.key.kind == "ConfigMap"
    }
