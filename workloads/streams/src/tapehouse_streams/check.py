"""Plans every statement of a compiled job without running it: `python -m tapehouse_streams.check`.

Exit code 0 when Flink can plan them all; otherwise 1, with the first error as termination message
`{"path", "value", "remedy"}`. Needs the catalog for the tables' schemas, but neither Kafka nor a
cluster.
"""

import sys
from pathlib import Path

from pyflink.table import TableEnvironment

from tapehouse_streams import flinksql, home
from tapehouse_streams.job import Job, JobError, conclude, default_path, read
from tapehouse_streams.messages import explained

ALONE = {"execution.target": "local"}


def check(job: Job) -> None:
    """Plan the statements as the one job they will be; one that fails is then found alone.

    Raises:
        JobError: Flink cannot plan one of them.
    """
    tables = flinksql.environment(job, ALONE)
    together = flinksql.statements(tables, job)
    try:
        together.explain()
    except Exception as error:
        _plan_each(tables, job)
        raise explained(error, ";\n".join(job.inserts), "spec.sql") from error


def _plan_each(tables: TableEnvironment, job: Job) -> None:
    for number, statement in enumerate(job.inserts):
        try:
            tables.explain_sql(flinksql.through_view(tables, number, statement))
        except Exception as error:
            raise explained(error, statement, "spec.sql") from error


def main() -> None:
    """Check the job in the given file, by default this Pod's."""
    home.settle()
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else default_path()
    try:
        check(read(path))
    except JobError as error:
        conclude(error)
        sys.exit(f"tapehouse-streams: {error}")


if __name__ == "__main__":
    main()
