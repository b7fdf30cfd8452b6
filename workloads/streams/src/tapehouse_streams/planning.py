"""Plans every statement of a compiled job without running it."""

from pyflink.table import TableEnvironment

from tapehouse_streams import flinksql
from tapehouse_streams.job import Job
from tapehouse_streams.messages import explained

ALONE = {"execution.target": "local"}


def plan(job: Job) -> None:
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
