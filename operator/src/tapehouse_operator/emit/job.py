"""A job's documents: what the runner, the check and the publisher read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tapehouse_operator.emit.core import Manifest
from tapehouse_operator.emit.flink import SQL_CONFIGURATION
from tapehouse_operator.emit.manifests import (
    CONFIG_DIR,
    ROOT,
    TERMINATION_LOG,
    Container,
    config_map,
    config_volume,
    document,
    pod_spec,
)
from tapehouse_operator.emit.sql import Insert, literal, quote
from tapehouse_operator.names import GROUP, LABEL_REVISION, LABEL_ROLE, branch_name, digest

JOB_KEY = "job.json"
PUBLISH_KEY = "publish.json"
ANNOTATION_SQL = f"{GROUP}/sql-digest"
"""On a job's ConfigMap: the digest of the SQL in it, which was accepted."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a job does, apart from its revision."""

    job: str
    namespace: str
    catalog_uri: str
    catalog_prefix: str
    ddl: tuple[str, ...]
    inserts: tuple[Insert, ...]
    topics: frozenset[str] = frozenset()
    """The targets that are topics; the others are tables."""
    partitions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """How tables are partitioned, by identifier: a sink takes that when it starts, so another one
    restarts the job."""
    state_ttl: timedelta | None = None
    """When state that nothing touches is forgotten; None: never."""
    apart: bool = False
    """Whether tables are written by threads of their own, so that a file that is closed holds no
    other output up. With more than one task a partition has but one writer then."""

    @property
    def outputs(self) -> list[str]:
        """The tables written, as declared."""
        return [each.target for each in self.inserts if each.target not in self.topics]

    @property
    def configuration(self) -> dict[str, str]:
        """Flink's settings of the SQL itself."""
        if self.state_ttl is None:
            return dict(SQL_CONFIGURATION)
        millis = self.state_ttl // timedelta(milliseconds=1)
        return {**SQL_CONFIGURATION, "table.exec.state.ttl": f"{millis} ms"}

    @property
    def sql_digest(self) -> str:
        """Of everything Flink plans: equal programs need no second check."""
        return digest([*self.ddl, *(self.insert(each, "") for each in self.inserts)])

    def insert(self, insert: Insert, branch: str) -> str:
        """The statement Flink runs: the user's query, onto the revision's branch."""
        columns = ", ".join(quote(column) for column in insert.columns)
        return f"INSERT INTO {self._target(insert.target, branch)} ({columns})\n{insert.query}"

    def _target(self, name: str, branch: str) -> str:
        if name in self.topics:
            return quote(name)
        namespace, _, table = name.rpartition(".")
        options = {"branch": branch} if branch else {}
        if self.apart:
            options["distribution-mode"] = "hash"
        pairs = ", ".join(f"{literal(key)}={literal(value)}" for key, value in options.items())
        hint = f" /*+ OPTIONS({pairs}) */" if pairs else ""
        return f"lake.{quote(self.catalog_prefix + namespace)}.{quote(table)}{hint}"

    def document(self, revision: int, fork_from: str | None) -> dict[str, Any]:
        """`job.json`; revision 0 is no revision but the check's, which writes nothing."""
        branch = branch_name(revision) if revision else ""
        return {
            "job": self.job,
            "namespace": self.namespace,
            "revision": revision,
            "branch": branch,
            "forkFrom": fork_from,
            "catalog": {"uri": self.catalog_uri, "prefix": self.catalog_prefix},
            "ddl": list(self.ddl),
            "inserts": [self.insert(each, branch) for each in self.inserts],
            "outputs": self.outputs,
            "partitions": {name: list(terms) for name, terms in self.partitions.items()},
            "configuration": self.configuration,
        }


def job_config(name: str, program: Program, revision: int, fork_from: str | None) -> Manifest:
    """The ConfigMap of one revision."""
    manifest = config_map(
        name,
        {JOB_KEY: document(program.document(revision, fork_from))},
        {LABEL_REVISION: str(revision)},
    )
    metadata = {**manifest["metadata"], "annotations": {ANNOTATION_SQL: program.sql_digest}}
    return {**manifest, "metadata": metadata}


def publish_config(
    name: str, program: Program, revision: int, checkpoints: str, interval: timedelta
) -> Manifest:
    """The ConfigMap that tells the publisher which branch readers are to follow.

    Args:
        name: its own.
        program: what the job does.
        revision: which of them readers see.
        checkpoints: where they are, by which the publisher knows that a job goes on.
        interval: between two of them.
    """
    intent = {
        "job": program.job,
        "namespace": program.namespace,
        "revision": revision,
        "branch": branch_name(revision),
        "tables": program.outputs,
        "checkpoints": checkpoints,
        "interval": interval.total_seconds(),
    }
    return config_map(name, {PUBLISH_KEY: document(intent)}, {LABEL_ROLE: "publish"})


def check_name(program: Program) -> str:
    """The check Pod and its ConfigMap."""
    return f"{program.job}-check-{program.sql_digest[:8]}"


def check_config(program: Program) -> Manifest:
    """The ConfigMap of the check."""
    data = {JOB_KEY: document(program.document(0, None))}
    return config_map(check_name(program), data, {LABEL_ROLE: "check"})


def check_pod(program: Program, image: str, env: Sequence[Mapping[str, Any]] = ()) -> Manifest:
    """The Pod that plans every statement and says what is wrong in its termination message."""
    name = check_name(program)
    container = Container(
        name="check",
        image=image,
        command=("python", "-m", "tapehouse_streams.check"),
        args=(f"{ROOT}{CONFIG_DIR}/{JOB_KEY}",),
        env=tuple(env),
        mounts={"job": CONFIG_DIR},
    )
    spec = {**pod_spec([container], [config_volume("job", name)]), "restartPolicy": "Never"}
    spec["containers"][0]["terminationMessagePath"] = TERMINATION_LOG
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {LABEL_ROLE: "check"}},
        "spec": spec,
    }
