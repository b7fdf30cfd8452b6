"""The operator with its real kinds on a cluster in memory; the vendors' parts are played."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tapehouse_kube.informer import Informer, Listener
from tapehouse_kube.objects import Ref, Scope
from tapehouse_operator.decision import AnyKind
from tapehouse_operator.emit.core import Table, TableState
from tapehouse_operator.emit.iceberg import OWNER_PROPERTY
from tapehouse_operator.kinds import KINDS
from tapehouse_operator.names import API_VERSION
from tapehouse_operator.shell.engine import Engine

from tests.support.memory_kube import MemoryKube

NS = "tapehouse"
START = datetime(2026, 1, 1, tzinfo=UTC)
READY = [{"type": "Ready", "status": "True"}]


class Tables:
    """A catalog on a dictionary: what is wanted is what there is."""

    def __init__(self) -> None:
        self.states: dict[str, TableState] = {}

    async def ensure(self, table: Table) -> TableState:
        self.states[table.identifier] = TableState(
            table.identifier,
            exists=True,
            uuid=table.identifier,
            columns=table.columns,
            partition=table.partition,
            sort=table.sort,
            properties={OWNER_PROPERTY: table.owner, **table.properties},
        )
        return self.states[table.identifier]

    async def state(self, identifier: str) -> TableState:
        return self.states.get(identifier) or TableState(identifier, exists=False)

    async def drop(self, identifier: str, owner: str) -> None:
        self.states.pop(identifier, None)


class Cluster:
    """One namespace, one operator, and everybody else."""

    def __init__(self, kinds: Sequence[AnyKind] = KINDS) -> None:
        self.kube, self.tables, self.kinds = MemoryKube(), Tables(), kinds
        self.unplannable = "NO_SUCH_FUNCTION"
        """SQL that holds this is refused by the check."""
        self.engine = self._operator()
        self.passwords = 0
        self._tasks: list[asyncio.Task[None]] = []

    def _operator(self) -> Engine:
        tables, rng = (lambda settings: self.tables), random.Random(1)
        return Engine(self.kinds, self.kube, tables, clock=self.clock, rng=rng)

    def clock(self) -> datetime:
        return START + timedelta(seconds=asyncio.get_running_loop().time() - 1_000.0)

    async def start(self) -> None:
        await self.engine.start()
        backend = self.engine.backend
        listener = Listener(backend.resource_seen, backend.resource_gone, backend.resources_listed)
        for kind in self.engine.kind_names:
            scope = Scope(API_VERSION, kind)
            informer = Informer(self.kube, scope, listener, random.Random(1))
            self._tasks.append(asyncio.create_task(informer.run()))
            await informer.synced.wait()
        self.engine.lead()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.engine.stop()

    async def restart(self) -> None:
        """Another operator, which has to learn everything."""
        await self.stop()
        self._tasks.clear()
        self.engine = self._operator()
        await self.start()

    async def settle(self, seconds: int = 300, quiet_for: int = 5) -> None:
        """Until nobody has anything to do."""
        quiet = 0
        for _ in range(seconds):
            before = len(self.kube.writes)
            await asyncio.sleep(1.0)
            self.play()
            idle = len(self.kube.writes) == before and self.engine.queue.idle
            quiet = quiet + 1 if idle else 0
            if quiet == quiet_for:
                return
        raise AssertionError("still busy")

    def play(self) -> None:
        """Strimzi, the Flink operator, the kubelet and the check, for what is new to them."""
        for ref, body in list(self.kube.objects.items()):
            if ref.kind == "KafkaUser":
                self._give_password(ref)
            status = self._status(ref, body)
            if status is not None and status != body.get("status"):
                self.kube.edit(ref, {"status": status}, "status", "vendor")

    def _give_password(self, user: Ref) -> None:
        secret = Ref("v1", "Secret", user.namespace, user.name)
        if secret not in self.kube.objects:
            self.passwords += 1
            body = {"apiVersion": "v1", "kind": "Secret", "data": {"password": str(self.passwords)}}
            metadata = {"name": user.name, "namespace": user.namespace}
            self.kube.create({**body, "metadata": metadata})

    def _status(self, ref: Ref, body: Mapping[str, Any]) -> dict[str, Any] | None:
        generation = body["metadata"].get("generation", 0)
        match ref.kind:
            case "Kafka":
                address = {"name": "internal", "bootstrapServers": "127.77.0.20:9092"}
                return {"listeners": [address], "conditions": READY}
            case "KafkaTopic" | "KafkaUser":
                return {"observedGeneration": generation, "conditions": READY}
            case "Deployment":
                replicas = body["spec"].get("replicas", 1)
                ready = {"updatedReplicas": replicas, "readyReplicas": replicas}
                return {"observedGeneration": generation, **ready}
            case "FlinkDeployment":
                job = {"state": "RUNNING", "jobId": "0" * 32}
                return {
                    "observedGeneration": generation,
                    "lifecycleState": "STABLE",
                    "jobStatus": job,
                }
            case "Pod":
                return self._checked(ref)
        return None

    def _checked(self, pod: Ref) -> dict[str, Any]:
        mounted = self.kube.objects[pod._replace(kind="ConfigMap")]
        said = '{"path": "spec.sql", "value": "NO_SUCH_FUNCTION", "remedy": "No such function"}'
        ended: dict[str, Any] = {"exitCode": 0, "finishedAt": "2026-01-01T00:00:00Z"}
        if self.unplannable in mounted["data"]["job.json"]:
            ended |= {"exitCode": 1, "message": said}
        phase = "Failed" if ended["exitCode"] else "Succeeded"
        return {"phase": phase, "containerStatuses": [{"state": {"terminated": ended}}]}

    # -- what a user does ------------------------------------------------------------------

    def apply(self, bodies: Iterable[Mapping[str, Any]]) -> None:
        """`kubectl apply` of whole documents."""
        for body in bodies:
            metadata = {**body["metadata"], "namespace": NS}
            ref = Ref(body["apiVersion"], body["kind"], NS, metadata["name"])
            if ref in self.kube.objects:
                self.kube.edit(ref, {k: body[k] for k in ("spec", "data") if k in body})
            else:
                self.kube.create({**body, "metadata": metadata})

    def patch(self, kind: str, name: str, **spec: Any) -> None:
        """`kubectl patch` of a resource's spec."""
        self.kube.edit(Ref(API_VERSION, kind, NS, name), {"spec": spec})

    def remove(self, kind: str, name: str) -> None:
        """`kubectl delete`."""
        self.kube.remove(Ref(API_VERSION, kind, NS, name))

    def get(self, api_version: str, kind: str, name: str) -> dict[str, Any]:
        return self.kube.objects[Ref(api_version, kind, NS, name)]

    def condition(self, kind: str, name: str, type_: str) -> tuple[str, str, str]:
        """A condition as (status, reason, message)."""
        conditions = self.get(API_VERSION, kind, name)["status"]["conditions"]
        one = next(c for c in conditions if c["type"] == type_)
        return one["status"], one["reason"], one.get("message", "")

    def unready(self) -> dict[str, str]:
        """Every resource that is not Ready, and why."""
        found = {}
        for ref in self.kube.objects:
            if ref.api_version == API_VERSION:
                status, reason, message = self.condition(ref.kind, ref.name, "Ready")
                if status != "True":
                    found[f"{ref.kind}/{ref.name}"] = f"{reason}: {message}"
        return found


@contextlib.asynccontextmanager
async def cluster(
    bodies: Iterable[Mapping[str, Any]], kinds: Sequence[AnyKind] = KINDS
) -> AsyncIterator[Cluster]:
    """A running operator, with `bodies` applied before it started."""
    made = Cluster(kinds)
    made.apply(bodies)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
