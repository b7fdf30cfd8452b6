"""Runs queries as a job would, in the streams environment: `python evaluate.py request.json`.

The request holds the catalog's address and the queries by name; the answer on standard output is
their rows by name, each value as text.
"""

import json
import sys
from pathlib import Path

from pyflink.common import RowKind
from tapehouse_streams import flinksql, home
from tapehouse_streams.job import Job
from tapehouse_streams.planning import ALONE


def main() -> None:
    home.settle()
    request = json.loads(Path(sys.argv[1]).read_text())
    job = Job(
        name="functions",
        branch="",
        fork_from="",
        catalog_uri=request["uri"],
        catalog_prefix=request["prefix"],
        ddl=tuple(request["ddl"]),
        inserts=(),
        outputs=(),
        configuration={"table.local-time-zone": "UTC", "parallelism.default": "1"},
    )
    tables = flinksql.environment(job, ALONE)
    answer = {}
    for name, query in request["queries"].items():
        rows: list[list[str]] = []
        with tables.execute_sql(query).collect() as results:
            for row in results:
                texts = [str(value) for value in row]
                if row.get_row_kind() in (RowKind.INSERT, RowKind.UPDATE_AFTER):
                    rows.append(texts)
                else:
                    rows.remove(texts)
        answer[name] = rows
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
