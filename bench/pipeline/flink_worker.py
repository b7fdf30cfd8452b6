"""Runs SQL jobs one after another in one JVM: `python flink_worker.py request.json`.

Reads a job as a line of JSON, and answers with a line: the seconds it took and those of the
processor.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from pyflink.common import Configuration
from pyflink.java_gateway import get_gateway
from pyflink.table import EnvironmentSettings, TableEnvironment
from tapehouse_streams import flinksql, home

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def environment(request: dict[str, Any]) -> TableEnvironment:
    configuration = Configuration()
    for key, value in request["configuration"].items():
        configuration.set_string(key, value)
    settings = EnvironmentSettings.new_instance().in_streaming_mode()
    tables = TableEnvironment.create(settings.with_configuration(configuration).build())
    flinksql.add_functions(tables)
    for statement in request["ddl"]:
        tables.execute_sql(statement)
    return tables


def perform(tables: TableEnvironment, job: dict[str, Any], pid: int) -> dict[str, float]:
    for statement in job.get("ddl", ()):
        tables.execute_sql(statement)
    tables.get_config().set("pipeline.object-reuse", str(job.get("reuse", False)).lower())
    together = tables.create_statement_set()
    for statement in job["inserts"]:
        together.add_insert_sql(statement)
    get_gateway().jvm.java.lang.System.gc()
    began, used = time.monotonic(), cpu_seconds(pid)
    together.execute().wait()
    return {"seconds": time.monotonic() - began, "cpu": cpu_seconds(pid) - used}


def main() -> None:
    home.settle()
    tables = environment(json.loads(Path(sys.argv[1]).read_text()))
    pid = get_gateway().jvm.java.lang.ProcessHandle.current().pid()
    for line in sys.stdin:
        print(json.dumps(perform(tables, json.loads(line), pid)), flush=True)


if __name__ == "__main__":
    main()
