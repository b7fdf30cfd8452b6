"""Starts a compiled job: `python -m tapehouse_streams.run`.

Works from a program of its own that submits to a running cluster (settings of the submission are
in the file named by TAPEHOUSE_FLINK_OPTIONS) and inside Flink's application mode, where the
cluster's own settings apply.
"""

import sys

from tapehouse_streams import branches, flinksql, home
from tapehouse_streams.job import Job, JobError, conclude, default_path, read, submission_options
from tapehouse_streams.messages import cause


def start(job: Job, options: dict[str, str]) -> str:
    """Prepare the branches, submit the statements as one job and return its id.

    Raises:
        JobError: the catalog, a table, a statement or the cluster refuses.
    """
    tables = flinksql.environment(job, options)
    together = flinksql.statements(tables, job)
    _fork_branches(job)
    try:
        client = together.execute().get_job_client()
    except Exception as error:
        raise JobError("job", job.name, f"cannot be started: {cause(error)}") from error
    return str(client.get_job_id()) if client else ""


def _fork_branches(job: Job) -> None:
    if not (job.branch and job.fork_from):
        return
    catalog = flinksql.iceberg_catalog(job.catalog_uri)
    for table in job.outputs:
        try:
            branches.fork(catalog, job.catalog_prefix + table, job.branch, job.fork_from)
        except Exception as error:
            raise JobError("spec.outputs", table, f"cannot be branched: {cause(error)}") from error


def main() -> None:
    """Start the job of this Pod."""
    home.settle()
    try:
        job_id = start(read(default_path()), submission_options())
    except JobError as error:
        conclude(error)
        sys.exit(f"tapehouse-streams: {error}")
    sys.stdout.write(f"submitted {job_id}\n")


if __name__ == "__main__":
    main()
