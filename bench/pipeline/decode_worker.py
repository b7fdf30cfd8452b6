"""Runs SQL jobs one after another in one JVM: `python decode_worker.py request.json`.

Prints a line of JSON for each: the seconds it took and those of the processor.
"""

import json
import os
import sys
import time
from pathlib import Path

from pyflink.common import Configuration
from pyflink.java_gateway import get_gateway
from pyflink.table import EnvironmentSettings, TableEnvironment
from tapehouse_streams import flinksql, home

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def environment(request: dict[str, object]) -> TableEnvironment:
    configuration = Configuration()
    for key, value in request["configuration"].items():
        configuration.set_string(key, value)
    settings = EnvironmentSettings.new_instance().in_streaming_mode()
    tables = TableEnvironment.create(settings.with_configuration(configuration).build())
    flinksql.add_functions(tables)
    for statement in request["ddl"]:
        tables.execute_sql(statement)
    return tables


def main() -> None:
    home.settle()
    request = json.loads(Path(sys.argv[1]).read_text())
    tables = environment(request)
    tables.execute_sql(request["before"]).wait()
    jvm = get_gateway().jvm
    pid = jvm.java.lang.ProcessHandle.current().pid()
    for job in request["jobs"]:
        if job["table"]:
            tables.execute_sql(f"CREATE TABLE lake.bronze.{job['table']} ({request['columns']})")
        tables.get_config().set("pipeline.object-reuse", str(job["reuse"]).lower())
        together = tables.create_statement_set()
        for statement in job["inserts"]:
            together.add_insert_sql(statement)
        jvm.java.lang.System.gc()
        began, used = time.monotonic(), cpu_seconds(pid)
        together.execute().wait()
        spent = {"seconds": time.monotonic() - began, "cpu": cpu_seconds(pid) - used}
        sys.stderr.write(f"{job['turn']} {job['name']} {spent}\n")
        if job["turn"]:
            print(json.dumps({"name": job["name"], **spent}), flush=True)


if __name__ == "__main__":
    main()
