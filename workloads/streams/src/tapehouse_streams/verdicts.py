"""Jobs that Flink has planned before: the same statements over the same tables, with the same jars.

Only where the directory in TAPEHOUSE_VERDICTS outlives the Pod, and is of one set of jars alone.
Only consent is remembered: what Flink refuses is planned again for its words.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from tapehouse_streams import catalogs
from tapehouse_streams.job import Job

DIRECTORY_VARIABLE = "TAPEHOUSE_VERDICTS"


@dataclass(frozen=True)
class Verdict:
    """What is remembered of one job over the tables as they are now."""

    file: Path | None

    @classmethod
    def of(cls, job: Job) -> "Verdict":
        """The verdict about a job.

        Raises:
            JobError: the catalog does not answer.
        """
        directory = os.environ.get(DIRECTORY_VARIABLE)
        if not directory:
            return cls(None)
        catalogs.await_answer(job.catalog_uri)
        tables = [catalogs.shape(job.catalog_uri, job.catalog_prefix + x) for x in job.outputs]
        return cls(Path(directory) / _digest([asdict(job), tables, _program()]))

    @property
    def known(self) -> bool:
        """Whether Flink could plan it."""
        return self.file is not None and self.file.exists()

    def remember(self) -> None:
        """Flink can plan it."""
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.touch()


def _program() -> list[str]:
    """This package, which makes of a job what Flink is given."""
    return [file.read_text() for file in sorted(Path(__file__).parent.glob("*.py"))]


def _digest(inputs: object) -> str:
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=dict).encode()).hexdigest()
