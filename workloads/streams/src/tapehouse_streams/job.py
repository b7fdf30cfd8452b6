"""`job.json`: a compiled job, as the operator writes it."""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT_VARIABLE = "TAPEHOUSE_ROOT"
OPTIONS_VARIABLE = "TAPEHOUSE_FLINK_OPTIONS"
"""Names a JSON file with Flink settings of this one submission: target, job id, savepoint."""


class JobError(Exception):
    """What keeps a job from being planned or started, in terms of the StreamJob's spec."""

    def __init__(self, path: str, value: str, remedy: str) -> None:
        super().__init__(f"{path}: {value}: {remedy}")
        self.path = path
        self.value = value
        self.remedy = remedy

    def message(self) -> str:
        """The termination message."""
        return json.dumps({"path": self.path, "value": self.value, "remedy": self.remedy})


@dataclass(frozen=True)
class Job:
    """A compiled job."""

    name: str
    branch: str
    """The Iceberg branch it writes; empty for a job that is only checked."""
    fork_from: str
    """The branch of the revision before; empty for the first."""
    catalog_uri: str
    catalog_prefix: str
    """Put before the namespace of every table."""
    ddl: tuple[str, ...]
    inserts: tuple[str, ...]
    outputs: tuple[str, ...]
    """Identifiers of the Iceberg tables it writes, without prefix."""
    configuration: Mapping[str, str]


def read(path: Path) -> Job:
    """The job in a file.

    Raises:
        JobError: it is not there or not a job.
    """
    try:
        return _parse(json.loads(path.read_text()))
    except FileNotFoundError:
        remedy = "no such file: is the job's ConfigMap mounted?"
        raise JobError("job.json", str(path), remedy) from None
    except (ValueError, KeyError, TypeError) as error:
        raise JobError("job.json", str(path), f"not a compiled job: {error!r}") from error


def _parse(raw: Mapping[str, Any]) -> Job:
    return Job(
        name=raw["job"],
        branch=raw.get("branch") or "",
        fork_from=raw.get("forkFrom") or "",
        catalog_uri=raw["catalog"]["uri"],
        catalog_prefix=raw["catalog"].get("prefix") or "",
        ddl=tuple(raw["ddl"]),
        inserts=tuple(raw["inserts"]),
        outputs=tuple(raw["outputs"]),
        configuration={key: str(value) for key, value in raw["configuration"].items()},
    )


def default_path() -> Path:
    """`$TAPEHOUSE_ROOT/etc/tapehouse/job.json`."""
    return Path(os.environ.get(ROOT_VARIABLE) or "/") / "etc/tapehouse/job.json"


def termination_log() -> Path:
    """`$TAPEHOUSE_ROOT/dev/termination-log`."""
    return Path(os.environ.get(ROOT_VARIABLE) or "/") / "dev/termination-log"


def submission_options() -> dict[str, str]:
    """Settings of this one submission; empty where the cluster starts the program itself."""
    file = os.environ.get(OPTIONS_VARIABLE)
    return dict(json.loads(Path(file).read_text())) if file else {}


def conclude(error: JobError) -> None:
    """Leave the reason where Kubernetes reads it."""
    with contextlib.suppress(OSError):
        termination_log().write_text(error.message())
