"""Peer: Kopf at its best: the same compile function under asynchronous handlers, stock settings.

    kopf run --standalone -n NAMESPACE bench/operator/peers/kopf_async.py

It has this project's client and is spared revisions, drift, references and pruning: a handler
parses, compiles and applies, and Kopf does the rest.
"""

import os
from typing import Any

import kopf
from tapehouse_kube.access import load_access
from tapehouse_kube.client import HttpKube
from tapehouse_operator.api.base import parse
from tapehouse_operator.children import add_ownership
from tapehouse_operator.kinds.contract import Key, RevisionRef, Subject, World
from tapehouse_operator.names import GROUP, VERSION

from bench.operator.server import PLATFORM
from bench.operator.workload import WORKLOADS

WORKLOAD = WORKLOADS[os.environ["BENCH_WORKLOAD"]]
PLURAL = WORKLOAD.kind.model.names.plural


@kopf.on.startup()
async def connect(memo: kopf.Memo, **_: Any) -> None:
    memo.kube = await HttpKube(load_access()).__aenter__()


@kopf.on.cleanup()
async def disconnect(memo: kopf.Memo, **_: Any) -> None:
    await memo.kube.__aexit__()


@kopf.on.create(GROUP, VERSION, PLURAL)
@kopf.on.update(GROUP, VERSION, PLURAL)
async def reconcile(body: kopf.Body, patch: kopf.Patch, memo: kopf.Memo, **_: Any) -> None:
    meta = body["metadata"]
    resource = parse(WORKLOAD.kind.model, dict(body))
    plan = WORKLOAD.kind.validate(resource, World(meta["namespace"], PLATFORM))
    output = WORKLOAD.kind.compile(plan, RevisionRef(1, "", {}))
    key = Key(WORKLOAD.name, meta["namespace"], meta["name"])
    subject = Subject(key, meta["uid"], "", meta["generation"], dict(body), {})
    for child in output.children:
        await memo.kube.apply(add_ownership(subject, child))
    patch.status["observedGeneration"] = meta["generation"]
    patch.status["phase"] = "Ready"
