"""The plan of a StreamJob, and what its children are called."""

from collections.abc import Mapping
from dataclasses import dataclass

from tapehouse_operator.api.streamjob import StreamJobSpec
from tapehouse_operator.emit import flink, strimzi
from tapehouse_operator.emit.core import ObjectKey
from tapehouse_operator.emit.ddl import Input
from tapehouse_operator.emit.job import Program
from tapehouse_operator.emit.platform import Platform
from tapehouse_operator.emit.rotation import Rotation


@dataclass(frozen=True, slots=True)
class JobPlan:
    """A job whose inputs and outputs exist and whose statements have been read."""

    name: str
    spec: StreamJobSpec
    platform: Platform
    program: Program
    inputs: tuple[Input, ...]
    dead_letters: tuple[str, ...]
    """Where it puts records that it cannot read: topics of the feeds."""
    topics: tuple[strimzi.Topic, ...]
    """What it writes besides tables."""
    stalled: tuple[str, ...]
    """The tables it no longer commits to, as the publisher sees it."""
    forks: Mapping[int, str | None]
    """By revision that has been started: the branch it forked from."""
    running: int | None
    """The revision whose branch holds the newest data."""
    published: int
    """The newest revision of which its tables have a branch, perhaps that of a former job."""
    accepted: frozenset[str]
    """Digests of the SQL of started revisions."""
    rotation: Rotation
    """Of the password it started with."""


def user_name(job: str) -> str:
    """The KafkaUser of a job, and the Secret with its password."""
    return f"{job}-job"


def kafka_key(cluster: str) -> ObjectKey:
    """The Kafka resource."""
    return ObjectKey(strimzi.API_VERSION, "Kafka", cluster)


def flink_key(job: str) -> ObjectKey:
    """The FlinkDeployment of a job."""
    return ObjectKey(flink.API_VERSION, flink.KIND, job)
