"""A release in a real API server: what it brings, what an upgrade changes, what it leaves."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.charts.helm import CHART, run
from tests.support.controlplane import ApiServer

pytestmark = pytest.mark.api
NAMESPACE = "charts-release"
CRD = "tradefeeds.tapehouse.dev"


class Helm(Protocol):
    def __call__(self, *args: str | Path) -> str: ...


@pytest.fixture
def helm(program: Path, apiserver: ApiServer, tmp_path: Path) -> Iterator[Helm]:
    """Helm on the API server; its release is gone at the end."""
    own = ["--kubeconfig", str(apiserver.kubeconfig), "--namespace", NAMESPACE]
    call = partial(run, program, *own)
    yield call
    call("uninstall", "kept", "--ignore-not-found")


def crd(apiserver: ApiServer) -> dict[str, Any]:
    return json.loads(apiserver.kubectl("get", "crd", CRD, "-o", "json"))


def test_a_release_upgrades_crds_and_leaves_them(helm: Helm, apiserver: ApiServer) -> None:
    before = crd(apiserver)["metadata"]["uid"]
    # The API server of the tests has the CRDs already.
    helm("install", "kept", CHART, "--create-namespace", "--take-ownership")
    spoiled = {"spec": {"names": {"shortNames": ["spoiled"]}}}
    apiserver.kubectl("patch", "crd", CRD, "--type=merge", f"-p={json.dumps(spoiled)}")

    helm("upgrade", "kept", CHART, "--set", "replicas=3")

    wanted = apiserver.kubectl("-n", NAMESPACE, "get", "deployment", "-o", "jsonpath={..replicas}")
    assert wanted.split()[0] == "3"
    assert crd(apiserver)["spec"]["names"]["shortNames"] == ["tf"]
    helm("uninstall", "kept")
    left = crd(apiserver)["metadata"]
    assert (left["uid"], "deletionTimestamp" in left) == (before, False)
    assert "kept-operator" not in apiserver.kubectl("get", "clusterrole,clusterrolebinding")
