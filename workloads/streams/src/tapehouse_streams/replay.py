"""Runs a job's statements to the end of given input: `python -m tapehouse_streams.replay FILE`.

The file is a compiled job whose tables, in and out, are files. One process is everything: no
cluster, no broker, and a catalog only where dimensions are not files as well. Exit code 1 with one
sentence on standard error when Flink refuses.
"""

import contextlib
import sys
import time
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyflink.common import Configuration
from pyflink.java_gateway import get_gateway
from pyflink.table import EnvironmentSettings, TableEnvironment

from tapehouse_streams import flinksql, home
from tapehouse_streams.job import Job, JobError, read
from tapehouse_streams.messages import cause, explained
from tapehouse_streams.planning import ALONE

ONE_AFTER_ANOTHER = {
    **ALONE,
    "parallelism.default": "1",
    # After every event rather than every 200 ms: what is late does not depend on the machine.
    "pipeline.auto-watermark-interval": "0 ms",
    "restart-strategy.type": "none",
    "taskmanager.numberOfTaskSlots": "1",
    "taskmanager.memory.network.min": "64 mb",
    "taskmanager.memory.network.max": "64 mb",
}

STARTED = {"RUNNING", "FINISHED", "FAILED", "CANCELING", "CANCELED"}
PAUSE = 0.1
"""Seconds between looks at the tasks."""


def replay(job: Job) -> None:
    """Run all statements as one job and wait for its end.

    Raises:
        JobError: a statement cannot be planned, or fails on its input.
    """
    together = flinksql.statements(_environment(job), job)
    try:
        result = together.execute()
        with contextlib.suppress(Py4JJavaError):  # the cluster may be gone, and the job with it
            _await_tasks(result.get_job_client())
        get_gateway().jvm.dev.tapehouse.functions.WaitAtEnd.running()
        result.wait()
    except Exception as error:
        raise JobError("job", job.name, f"failed: {cause(error)}") from error


def _await_tasks(client: Any) -> None:
    """Until every task has started, or the job has ended.

    A window that starts when its input has already ended would never see time pass.
    """
    handle = client._j_job_client
    field = handle.getClass().getDeclaredField("miniCluster")
    field.setAccessible(True)
    cluster = field.get(handle)
    while not client.get_job_execution_result().done():
        graph = cluster.getExecutionGraph(handle.getJobID()).get()
        vertices = graph.getAllExecutionVertices().iterator()
        states = set()
        while vertices.hasNext():
            states.add(vertices.next().getExecutionState().toString())
        if states <= STARTED:
            return
        time.sleep(PAUSE)


def _environment(job: Job) -> TableEnvironment:
    configuration = Configuration()
    parameters = flinksql.parameters(job) if job.catalog_uri else {}
    for key, value in {**job.configuration, **parameters, **ONE_AFTER_ANOTHER}.items():
        configuration.set_string(key, value)
    settings = EnvironmentSettings.new_instance().in_streaming_mode()
    tables = TableEnvironment.create(settings.with_configuration(configuration).build())
    flinksql.add_functions(tables)
    tables.execute_sql(
        "CREATE TEMPORARY SYSTEM FUNCTION WAIT_AT_END "
        "AS 'dev.tapehouse.functions.WaitAtEnd' LANGUAGE JAVA"
    )
    for statement in job.ddl:
        try:
            tables.execute_sql(statement)
        except Exception as error:
            raise explained(error, statement, "spec.inputs") from error
    return tables


def main() -> None:
    """Replay the job in the given file."""
    home.settle()
    try:
        replay(read(Path(sys.argv[1])))
    except JobError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
