"""`repair`: a job that no longer commits starts again from what it committed last."""

import json
from typing import Any

from tapehouse_kube.objects import Ref
from tapehouse_operator.emit.tables import PUBLISHED_KEY, STALLED, published_name
from tapehouse_operator.kinds.contract import Key
from tapehouse_operator.names import API_VERSION

from tapehouse_cli.resources.snapshot import Snapshot


async def repair(snapshot: Snapshot, key: Key) -> str:
    """Start the job again from the checkpoint its tables have; returns where that is.

    What it read since then it reads again, so that nothing is lost and nothing written twice.

    Raises:
        ValueError: it is no job, it commits, or no such checkpoint is kept.
    """
    body = snapshot.bodies.get(key)
    if key.kind != "StreamJob" or body is None:
        raise ValueError(f"there is no such job as {key.kind} {key.name}; give streamjob/NAME")
    said = [
        await _published(snapshot, output["table"])
        for output in body["spec"]["outputs"]
        if "table" in output
    ]
    stalled = [each for each in said if each.get("reason") == STALLED]
    if not stalled:
        raise ValueError(f"StreamJob {key.name} is not stalled: there is nothing to repair")
    path = str(stalled[0].get("restore", ""))
    if not path or any(each.get("restore") != path for each in said):
        raise ValueError(
            f"StreamJob {key.name}: no checkpoint is kept that is in all of its tables; name a "
            "savepoint of it in spec.restoreFrom"
        )
    if body["spec"].get("restoreFrom") == path:
        path += "/"  # the same once more must differ from what was asked for before
    ref = Ref(API_VERSION, key.kind, key.namespace, key.name)
    await snapshot.kube.merge(ref, {"spec": {"restoreFrom": path}})
    return path


async def _published(snapshot: Snapshot, table: str) -> dict[str, Any]:
    ref = Ref("v1", "ConfigMap", snapshot.namespace, published_name(table))
    body = await snapshot.kube.get(ref)
    document: dict[str, Any] = json.loads(body["data"][PUBLISHED_KEY]) if body else {}
    return document
