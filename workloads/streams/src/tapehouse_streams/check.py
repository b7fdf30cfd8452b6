"""Plans every statement of a compiled job without running it: `python -m tapehouse_streams.check`.

Exit code 0 when Flink can plan them all, or could before; otherwise 1, with the first error as
termination message `{"path", "value", "remedy"}`. Needs the catalog for the tables' schemas, but
neither Kafka nor a cluster.
"""

import importlib
import sys
from pathlib import Path

from tapehouse_streams import home
from tapehouse_streams.job import JobError, conclude, default_path, read
from tapehouse_streams.verdicts import Verdict

PLANNING = "tapehouse_streams.planning"
"""Named, not imported: what has been planned before needs no Flink."""


def check(path: Path) -> None:
    """Plan the job in a file unless that has been done before.

    Raises:
        JobError: it is not a job, the catalog does not answer, or Flink cannot plan it.
    """
    job = read(path)
    verdict = Verdict.of(job)
    if not verdict.known:
        importlib.import_module(PLANNING).plan(job)
        verdict.remember()


def main() -> None:
    """Check the job in the given file, by default this Pod's."""
    home.settle()
    try:
        check(Path(sys.argv[1]) if len(sys.argv) > 1 else default_path())
    except JobError as error:
        conclude(error)
        sys.exit(f"tapehouse-streams: {error}")


if __name__ == "__main__":
    main()
