"""What a `FlinkDeployment` asks for, and which of its changes concern the running job."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tapehouse_laptop.cache import digest_of
from tapehouse_laptop.kubeapi import Key, Manifest
from tapehouse_laptop.node.expand import expand

MAIN_CONTAINER = "flink-main-container"
ANNOTATION_PROMPT = "tapehouse.dev/prompt"
DEFAULT_MEMORY = "1024m"
SLOTS = "taskmanager.numberOfTaskSlots"
STATELESS, LAST_STATE, SAVEPOINT = "stateless", "last-state", "savepoint"
HOW_ONLY = frozenset(
    {
        *("state", "upgradeMode", "savepointTriggerNonce", "checkpointTriggerNonce"),
        *("initialSavepointPath", "savepointRedeployNonce", "allowNonRestoredState"),
    }
)
"""Fields of `spec.job` that say how to get somewhere; what the job is does not depend on them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One `FlinkDeployment`."""

    item: Manifest

    @property
    def key(self) -> Key:
        """Its namespace and name."""
        return Key.of(self.item)

    @property
    def uid(self) -> str:
        """Of this life of the resource."""
        return str(self.item["metadata"]["uid"])

    @property
    def generation(self) -> int:
        """Of the spec."""
        return int(self.item["metadata"]["generation"])

    @property
    def spec(self) -> Mapping[str, Any]:
        """The whole spec."""
        spec: Mapping[str, Any] = self.item["spec"]
        return spec

    @property
    def job(self) -> Mapping[str, Any]:
        """`spec.job`."""
        return self.spec.get("job") or {}

    @property
    def prompt(self) -> bool:
        """Whether clients wait for the job's records."""
        annotations = self.item["metadata"].get("annotations") or {}
        return annotations.get(ANNOTATION_PROMPT) == "true"

    @property
    def deleting(self) -> bool:
        """Whether it is on its way out."""
        return "deletionTimestamp" in self.item["metadata"]

    def has_finalizer(self, name: str) -> bool:
        """Whether its deletion waits for us."""
        return name in (self.item["metadata"].get("finalizers") or ())

    @property
    def running(self) -> bool:
        """Whether the job should run."""
        return not self.deleting and str(self.job.get("state", "running")).lower() != "suspended"

    @property
    def upgrade_mode(self) -> str:
        """`stateless`, `last-state` or `savepoint`."""
        return str(self.job.get("upgradeMode", STATELESS)).lower().replace("_", "-")

    @property
    def digest(self) -> str:
        """Of all that the running job depends on: another one is an upgrade."""
        job = {name: value for name, value in self.job.items() if name not in HOW_ONLY}
        return digest_of(json.dumps({**self.spec, "job": job}, sort_keys=True))

    @property
    def savepoint_nonce(self) -> int | None:
        """Another number asks for a savepoint."""
        return self.job.get("savepointTriggerNonce")

    @property
    def redeploy_nonce(self) -> int | None:
        """Another number asks to start again from `initialSavepointPath`."""
        return self.job.get("savepointRedeployNonce")

    @property
    def initial_savepoint(self) -> str:
        """Where a job that has no state of its own starts."""
        return str(self.job.get("initialSavepointPath") or "")

    @property
    def parallelism(self) -> int:
        """Of the job."""
        return int(self.job.get("parallelism", 1))

    def configuration(self, data: str) -> dict[str, str]:
        """`flinkConfiguration` as flat text, `$(TAPEHOUSE_DATA)` replaced by `data`."""
        flat = dict(_flattened(self.spec.get("flinkConfiguration") or {}))
        return {name: expand(value, {"TAPEHOUSE_DATA": data}) for name, value in flat.items()}

    def resource(self, component: str) -> tuple[float, str]:
        """Processors and memory of `jobManager` or `taskManager`, memory in Flink's spelling."""
        resource = (self.spec.get(component) or {}).get("resource") or {}
        return float(resource.get("cpu", 1)), flink_memory(resource.get("memory", DEFAULT_MEMORY))

    @property
    def slots(self) -> int:
        """Of each TaskManager; as many as the parallelism when nothing is said."""
        return int(self.configuration("").get(SLOTS, self.parallelism))

    @property
    def task_managers(self) -> int:
        """How many: as said, else as many as the parallelism needs."""
        said = (self.spec.get("taskManager") or {}).get("replicas")
        return int(said) if said else max(1, math.ceil(self.parallelism / self.slots))

    def pod(self) -> Manifest:
        """The Pod its processes are in, as far as files and environment go."""
        template = self.spec.get("podTemplate") or {}
        spec = template.get("spec") or {}
        meta = self.item["metadata"]
        return {
            "metadata": {
                **(template.get("metadata") or {}),
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
            },
            "spec": {**spec, "serviceAccountName": self.spec.get("serviceAccount", "")},
        }

    def container(self) -> Manifest:
        """Flink's container of the Pod template."""
        containers = self.pod()["spec"].get("containers") or ()
        found: Manifest = next((c for c in containers if c["name"] == MAIN_CONTAINER), {})
        return {"name": MAIN_CONTAINER, **found}


def flink_memory(quantity: object) -> str:
    """Memory as Flink writes it: Kubernetes' `1Gi` is `1g`, and `m` is mega in both here."""
    return str(quantity).strip().lower().removesuffix("i")


def _flattened(nested: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in nested.items():
        if isinstance(value, Mapping):
            found += _flattened(value, f"{prefix}{name}.")
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            found.append((prefix + name, text))
    return found
