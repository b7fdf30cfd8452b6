"""What a fresh API server needs before resources can be applied to it."""

import asyncio
import base64
from collections.abc import Iterable
from pathlib import Path

import yaml

from tapehouse_laptop import repository, vendorcrds
from tapehouse_laptop.controlplane.pki import kubeconfig
from tapehouse_laptop.errors import LaptopError
from tapehouse_laptop.kubeapi import (
    CRDS,
    NAMESPACES,
    NODES,
    SECRETS,
    SERVICE_ACCOUNTS,
    Key,
    Kube,
    Manifest,
    Resource,
)
from tapehouse_laptop.node.controller import NODE
from tapehouse_laptop.state import State, write_atomically

OPERATOR = Key("tapehouse-system", "tapehouse-operator")
"""The operator's ServiceAccount."""
TOKEN_SECONDS = 365 * 86400
ESTABLISH_TIMEOUT = 30.0
RBAC = {
    "Secret": SECRETS,
    "ServiceAccount": SERVICE_ACCOUNTS,
    "ClusterRole": Resource(
        "rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False
    ),
    "ClusterRoleBinding": Resource(
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        "clusterrolebindings",
        namespaced=False,
    ),
    "Role": Resource("rbac.authorization.k8s.io/v1", "Role", "roles"),
    "RoleBinding": Resource("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
}


async def prepare(kube: Kube, namespaces: Iterable[str]) -> None:
    """Install the CRDs and make the namespaces.

    Raises:
        LaptopError: the cluster has nodes of its own, or refuses a CRD.
    """
    await _refuse_other_nodes(kube)
    definitions = [*vendorcrds.manifests(), *repository.crds()]
    await asyncio.gather(
        *(kube.apply(CRDS, definition) for definition in definitions),
        *(kube.apply(NAMESPACES, _namespace(name)) for name in namespaces),
    )
    try:
        async with asyncio.timeout(ESTABLISH_TIMEOUT):
            await asyncio.gather(*(_established(kube, Key.of(x)) for x in definitions))
    except TimeoutError:
        raise LaptopError(
            "the API server does not serve the CRDs; see kube-apiserver's log"
        ) from None


def _namespace(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


async def _established(kube: Kube, key: Key) -> None:
    while True:
        found = await kube.get(CRDS, key) or {}
        conditions = (found.get("status") or {}).get("conditions") or ()
        if any(c["type"] == "Established" and c["status"] == "True" for c in conditions):
            return
        await asyncio.sleep(0.1)


async def _refuse_other_nodes(kube: Kube) -> None:
    # In a context of the user's own: its nodes would be given Pods meant for processes.
    others = [n["metadata"]["name"] for n in (await kube.list(NODES))[0]]
    if foreign := [name for name in others if name != NODE]:
        raise LaptopError(
            f"this cluster has nodes of its own ({', '.join(foreign[:3])}): install Tapehouse "
            "there with its Helm chart; `up` needs an API server without nodes"
        )


async def admit_operator(kube: Kube, state: State, rules: list[Manifest]) -> Path:
    """Grant the operator its rights and write its kubeconfig: a token, not the administrator's."""
    await kube.apply(NAMESPACES, _namespace(OPERATOR.namespace))
    for item in rules:
        await kube.apply(RBAC[item["kind"]], item)
    token = await kube.token(OPERATOR, TOKEN_SECONDS)
    cluster = yaml.safe_load(state.kubeconfig.read_text())["clusters"][0]["cluster"]
    path = state.run / "operator.kubeconfig"
    content = kubeconfig(cluster["server"], _authority(cluster), "operator", {"token": token})
    write_atomically(path, content)
    return path


def _authority(cluster: Manifest) -> str:
    if inline := cluster.get("certificate-authority-data"):
        return str(inline)
    return base64.b64encode(Path(cluster["certificate-authority"]).read_bytes()).decode()
