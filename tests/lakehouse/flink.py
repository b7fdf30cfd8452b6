"""Commits to branches as Flink's sink makes them: appends that carry job and checkpoint."""

import pyarrow as pa
from pyiceberg.table import Table
from tapehouse_lakehouse.catalog import Lake

SCHEMA = pa.schema([("id", pa.int64()), ("symbol", pa.string())])
PROPERTIES = {"format-version": "2", "commit.retry.num-retries": "20"}


def create(lake: Lake, identifier: str, schema: pa.Schema = SCHEMA, **options) -> Table:
    name = lake.qualified(identifier)
    lake.catalog.create_namespace_if_not_exists(name.rsplit(".", 1)[0])
    return lake.catalog.create_table(name, schema, properties=PROPERTIES, **options)


def load(lake: Lake, identifier: str) -> Table:
    return lake.catalog.load_table(lake.qualified(identifier))


def rows(lake: Lake, identifier: str, branch: str = "main") -> list[int]:
    table = load(lake, identifier)
    ref = table.refs()[branch]
    return sorted(table.scan(snapshot_id=ref.snapshot_id).to_arrow()["id"].to_pylist())


def set_ref(lake: Lake, identifier: str, branch: str, snapshot: int, old: int | None) -> None:
    *namespace, name = lake.qualified(identifier).split(".")
    change = {
        "identifier": {"namespace": namespace, "name": name},
        "requirements": [{"type": "assert-ref-snapshot-id", "ref": branch, "snapshot-id": old}],
        "updates": [
            {
                "action": "set-snapshot-ref",
                "ref-name": branch,
                "type": "branch",
                "snapshot-id": snapshot,
            }
        ],
    }
    url = lake.catalog.url("transactions/commit")
    lake.catalog._session.post(url, json={"table-changes": [change]}).raise_for_status()


def commit(
    lake: Lake,
    identifier: str,
    branch: str,
    checkpoint: int,
    data: pa.Table | None = None,
    job: str = "job",
) -> int:
    """Append `data` (one row, the checkpoint's number, unless given); returns the snapshot."""
    if data is None:
        data = pa.table({"id": [checkpoint], "symbol": ["AAPL"]}, schema=SCHEMA)
    properties = {"flink.job-id": job, "flink.max-committed-checkpoint-id": str(checkpoint)}
    table = load(lake, identifier)
    refs = table.refs()
    if branch not in refs and "main" in refs:
        set_ref(lake, identifier, branch, refs["main"].snapshot_id, None)
        table = load(lake, identifier)
    if branch in table.refs():
        table.append(data, branch=branch, snapshot_properties=properties)
        return table.refs()[branch].snapshot_id
    # PyIceberg refuses the first snapshot of a table anywhere but on main; Flink does not.
    table.append(data, branch=None, snapshot_properties=properties)
    snapshot = load(lake, identifier).metadata.snapshots[-1].snapshot_id
    set_ref(lake, identifier, branch, snapshot, None)
    return snapshot
