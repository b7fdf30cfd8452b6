"""A report reaches a real API server by the rights its Pod has, and by no more than these."""

import asyncio
import json
from pathlib import Path

import pytest
import yaml
from tapehouse_feed.report import KEY, Reporter, load_access
from tapehouse_feed.watch import Report
from tapehouse_operator.emit.feed import FeedNames, feed_access, feed_report

from tests.feed.broker import eventually
from tests.support.controlplane import ApiServer

NAMES, NAMESPACE = FeedNames("market"), "reports"
OTHERS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "others"}}


@pytest.fixture
def kubeconfig(apiserver: ApiServer, tmp_path: Path) -> Path:
    """That of the bridge's Pod: the account the operator makes for it, with a token file."""
    objects = [*feed_access(NAMES, NAMESPACE), feed_report(NAMES), OTHERS]
    apiserver.kubectl("create", "namespace", NAMESPACE, check=False)
    apiserver.kubectl("-n", NAMESPACE, "apply", "-f", "-", stdin=yaml.safe_dump_all(objects))
    token = apiserver.kubectl("-n", NAMESPACE, "create", "token", NAMES.workload)
    (tmp_path / "token").write_text(token)
    config = yaml.safe_load(apiserver.kubeconfig.read_text())
    config["users"] = [{"name": "pod", "user": {"tokenFile": str(tmp_path / "token")}}]
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.api
async def test_the_report_and_nothing_else(apiserver: ApiServer, kubeconfig: Path) -> None:
    access = load_access({"KUBECONFIG": str(kubeconfig)})
    assert access is not None
    reporter = Reporter(NAMESPACE, NAMES.report, access)
    quiet = Report(open_gaps=0, missing=0, too_large=False, silent="", held="")
    for gaps in range(3):
        reporter.write(Report(gaps, gaps, too_large=False, silent="", held=""))

    def written() -> str:
        query = ["get", "configmap", NAMES.report, "-o", "json"]
        body = json.loads(apiserver.kubectl("-n", NAMESPACE, *query))
        return str(body.get("data", {}).get(KEY, ""))

    await asyncio.to_thread(eventually, lambda: '"openGaps":2' in written(), 30)
    for path, verb in (("others", "patch"), (NAMES.report, "delete"), (NAMES.report, "get")):
        who = f"system:serviceaccount:{NAMESPACE}:{NAMES.workload}"
        asked = ["auth", "can-i", verb, f"configmap/{path}", "--as", who]
        assert "no" in apiserver.kubectl("-n", NAMESPACE, *asked, check=False).splitlines()
    with pytest.raises(OSError, match="403"):
        access.patch(f"/api/v1/namespaces/{NAMESPACE}/configmaps/others", b"{}")
    reporter.write(quiet)
    await asyncio.to_thread(eventually, lambda: '"openGaps":0' in written(), 30)


def test_no_way_to_an_api_server_is_no_report(tmp_path: Path) -> None:
    assert load_access({}) is None
    (tmp_path / "bad").write_text("clusters: []")
    with pytest.raises(ValueError, match="no cluster and user with a token file"):
        load_access({"KUBECONFIG": str(tmp_path / "bad")})
