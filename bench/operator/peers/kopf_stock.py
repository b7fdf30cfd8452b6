"""Peer: the same compile function under Kopf's handlers as its documentation writes them.

    kopf run --standalone -n NAMESPACE bench/operator/peers/kopf_stock.py

Plain functions, the official Kubernetes client, stock settings: create what is wanted, patch what
is there already. It is spared revisions, drift, ownership of fields, references and pruning.
"""

import os
from typing import Any

import kopf
import kubernetes
from tapehouse_operator.api.base import parse
from tapehouse_operator.emit.core import Manifest
from tapehouse_operator.kinds.contract import RevisionRef, World
from tapehouse_operator.names import GROUP, LABEL_OWNER, VERSION, owner_label

from bench.operator.server import PLATFORM
from bench.operator.workload import WORKLOADS

WORKLOAD = WORKLOADS[os.environ["BENCH_WORKLOAD"]]
PLURAL = WORKLOAD.kind.model.names.plural


@kopf.on.startup()
def connect(memo: kopf.Memo, **_: Any) -> None:
    kubernetes.config.load_kube_config()
    memo.resources = kubernetes.dynamic.DynamicClient(kubernetes.client.ApiClient()).resources


@kopf.on.create(GROUP, VERSION, PLURAL)
@kopf.on.update(GROUP, VERSION, PLURAL)
def reconcile(body: kopf.Body, patch: kopf.Patch, memo: kopf.Memo, **_: Any) -> None:
    meta = body["metadata"]
    resource = parse(WORKLOAD.kind.model, dict(body))
    plan = WORKLOAD.kind.validate(resource, World(meta["namespace"], PLATFORM))
    output = WORKLOAD.kind.compile(plan, RevisionRef(1, "", {}))
    for child in output.children:
        apply(memo, meta["namespace"], meta["name"], child.manifest)
    patch.status["observedGeneration"] = meta["generation"]
    patch.status["phase"] = "Ready"


def apply(memo: kopf.Memo, namespace: str, name: str, manifest: Manifest) -> None:
    child = {**manifest, "metadata": dict(manifest["metadata"])}
    kopf.adopt(child)
    kopf.label(child, {LABEL_OWNER: owner_label(WORKLOAD.name, name)})
    api = memo.resources.get(api_version=child["apiVersion"], kind=child["kind"])
    try:
        api.create(body=child, namespace=namespace)
    except kubernetes.dynamic.exceptions.ConflictError:
        api.patch(body=child, namespace=namespace, content_type="application/merge-patch+json")
