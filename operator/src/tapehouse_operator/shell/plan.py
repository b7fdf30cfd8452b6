"""What applying a directory would do, asked of the API server and of the kinds without a write."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tapehouse_operator.api.base import Change, Resource, parse
from tapehouse_operator.backends.client import HttpKube
from tapehouse_operator.backends.kube import Body, Ref
from tapehouse_operator.children import dress, drifted, outdated
from tapehouse_operator.decision import Intent, Scene, decide
from tapehouse_operator.errors import Rejected, SpecError
from tapehouse_operator.kinds.contract import Key
from tapehouse_operator.names import API_VERSION
from tapehouse_operator.reconcile import Reconciler
from tapehouse_operator.rollout import step
from tapehouse_operator.shell.snapshot import Snapshot, TablesUnseen
from tapehouse_operator.shell.verbs import changed_paths

WORDS = {
    Change.NONE: "none",
    Change.IN_PLACE: "in place",
    Change.RESTART: "restart",
    Change.REVISION: "revision",
}


@dataclass(frozen=True, slots=True)
class ChildChange:
    """What becomes of one child."""

    sign: str
    """`+` created, `~` changed, `-` deleted."""
    kind: str
    name: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of one resource."""

    key: Key
    change: str
    """`none`, `create`, `in place`, `restart`, `savepoint`, `revision`, `refused`, `waits`."""
    reason: str = ""
    """Why it is refused, or what it waits for."""
    fields: tuple[str, ...] = ()
    children: tuple[ChildChange, ...] = ()

    @property
    def loss(self) -> str:
        """What is lost or interrupted."""
        return LOSSES.get(self.change, "")


LOSSES = {
    "restart": "the workload restarts and goes on where it stopped",
    "savepoint": "the job restarts from a savepoint; no state is lost",
    "stateless": "the job restarts WITHOUT its state",
    "revision": "a new revision is released under spec.strategy",
}


def read_documents(path: Path) -> list[dict[str, Any]]:
    """Every YAML document below `path` that is one of our resources.

    Raises:
        ValueError: a file is not YAML; the message has file and line.
        FileNotFoundError: there is nothing at `path`.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    files = sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]
    found = [document for file in files for document in _documents(file)]
    return [d for d in found if isinstance(d, dict) and d.get("apiVersion") == API_VERSION]


async def make_plans(snapshot: Snapshot, documents: Sequence[Mapping[str, Any]]) -> list[Plan]:
    """What applying `documents` together would do, in their order."""
    live = dict(snapshot.bodies)
    refused = {}
    for document in documents:
        body, refusal = await _examined(snapshot, _placed(document, snapshot))
        refused[snapshot.put(body)] = refusal
    reconciler = Reconciler(list(snapshot.kinds.values()), snapshot, lambda _: TablesUnseen())
    return [
        await _plan(snapshot, reconciler, key, live.get(key), no) for key, no in refused.items()
    ]


async def _plan(
    snapshot: Snapshot, reconciler: Reconciler, key: Key, live: Body | None, no: str
) -> Plan:
    subject = snapshot.subject(key)
    if no or subject is None:
        return Plan(key, "refused", no)
    scene = await reconciler.read(subject)
    intent = decide(scene)
    if intent.acceptance is not None and not intent.checks:
        word = "waits" if intent.checking else "refused"
        return Plan(key, word, intent.acceptance.message)
    fields = tuple(changed_paths(live["spec"] if live else {}, subject.manifest["spec"]))
    children = tuple([c async for c in _children(snapshot, scene, intent)])
    reason = intent.obstacle.message if intent.obstacle else ""
    change = "create" if live is None else _word(scene)
    return Plan(key, change, reason, fields if live else (), children)


def _word(scene: Scene) -> str:
    newest, accepted = scene.versions.newest, scene.versions.accepted
    if not isinstance(newest, Resource):
        return "refused"
    move = step(scene.history, newest.spec, accepted.spec if accepted else None)
    if scene.subject.key.kind == "StreamJob" and move.change >= Change.RESTART:
        return "stateless" if getattr(newest.spec, "upgrade", "") == "stateless" else "savepoint"
    return WORDS[move.change]


async def _children(snapshot: Snapshot, scene: Scene, intent: Intent) -> AsyncIterator[ChildChange]:
    subject = scene.subject
    live = snapshot.children(subject.key)
    wanted = set()
    for child in (*intent.checks, *intent.output.children):
        wanted.add(child.key)
        manifest, now = dress(subject, child), live.get(child.key)
        if now is None:
            yield ChildChange("+", child.key.kind, child.key.name)
        elif outdated(manifest, now) or drifted(manifest, now):
            paths = await _dry_run(snapshot.kube, manifest)
            if paths:
                yield ChildChange("~", child.key.kind, child.key.name, paths)
    for at, now in live.items():
        if at not in wanted and at.kind != "ControllerRevision" and subject.uid in now.owners:
            yield ChildChange("-", at.kind, at.name)


async def _dry_run(kube: HttpKube, manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The paths that server-side apply would change."""
    meta = manifest["metadata"]
    ref = Ref(manifest["apiVersion"], manifest["kind"], meta["namespace"], meta["name"])
    before = await kube.get(ref) or {}
    after = await kube.apply(manifest, dry_run=True)
    return tuple(changed_paths(_content(before), _content(after)))


def _content(body: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in body.items() if k not in ("metadata", "status")}


async def _examined(snapshot: Snapshot, body: dict[str, Any]) -> tuple[Body, str]:
    """The resource with its defaults, and what is said against it, if anything."""
    kind = snapshot.kinds.get(body["kind"])
    if kind is None:
        return body, f"{body['kind']} is not a kind of {API_VERSION}"
    try:
        parse(kind.model, body)
        return await _dry_written(snapshot, body), ""
    except SpecError as e:
        return body, str(e)
    except Rejected as e:
        return body, e.message


async def _dry_written(snapshot: Snapshot, body: dict[str, Any]) -> Body:
    """What the API server itself makes of it: its schema, its rules, its admission."""
    meta = body["metadata"]
    ref = Ref(body["apiVersion"], body["kind"], snapshot.namespace, meta["name"])
    live = await snapshot.kube.get(ref)
    if live is None:
        return await snapshot.kube.create(body, dry_run=True)
    version = live["metadata"]["resourceVersion"]
    guarded = {**body, "metadata": {**meta, "resourceVersion": version}}
    return await snapshot.kube.replace(guarded, dry_run=True)


def _placed(document: Mapping[str, Any], snapshot: Snapshot) -> dict[str, Any]:
    metadata = {**document["metadata"], "namespace": snapshot.namespace}
    return {**document, "metadata": metadata}


def _documents(file: Path) -> Iterator[Any]:
    try:
        yield from yaml.safe_load_all(file.read_text())
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ValueError(f"{file}{line}: {getattr(e, 'problem', None) or e}") from e


def lines(plans: Iterable[Plan]) -> Iterator[str]:
    """The plans for people."""
    for plan in plans:
        yield f"{plan.key.kind}/{plan.key.name}: {plan.change}" + (
            f": {plan.loss}" if plan.loss else ""
        )
        if plan.reason:
            yield f"    {plan.reason}"
        if plan.fields:
            yield f"    spec: {', '.join(plan.fields)}"
        for child in plan.children:
            paths = f": {', '.join(child.paths)}" if child.paths else ""
            yield f"  {child.sign} {child.kind} {child.name}{paths}"
