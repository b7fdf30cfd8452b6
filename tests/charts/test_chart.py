"""What the chart renders, of which values, and that it travels whole."""

import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from tapehouse_operator.__main__ import run as operator_run
from tapehouse_operator.shell.settings import METRICS_PORT

from tests.charts.helm import (
    CHART,
    KUBERNETES,
    ROOT,
    SYSTEM,
    HelmError,
    Object,
    one,
    render,
    run,
)
from tests.support.controlplane import ApiServer

KEEP = {"helm.sh/resource-policy": "keep"}
POD_SECURITY = "pod-security.kubernetes.io"


def printed(*args: str) -> str:
    command = Path(sys.executable).parent / "tapehouse-operator"
    return subprocess.run(
        [command, "rbac", *args], capture_output=True, text=True, check=True
    ).stdout


def access(objects: list[Object]) -> dict[tuple[str, str, str], Object]:
    """What says who may do what, without labels, by kind, namespace and name."""
    kinds = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    found = {}
    for body in objects:
        if body["kind"] in kinds:
            metadata = {k: v for k, v in body["metadata"].items() if k != "labels"}
            key = (body["kind"], metadata.get("namespace", ""), metadata["name"])
            found[key] = {**body, "metadata": metadata}
    return found


def named(objects: list[Object], name: str) -> Object:
    (found,) = [body for body in objects if body["metadata"]["name"] == name]
    return found


def container(objects: list[Object]) -> dict[str, Any]:
    (found,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return found


def test_the_committed_rules_are_what_the_command_prints() -> None:
    committed = (CHART / "files/rbac.yaml").read_text()
    assert committed == printed(), "run `make generate`"


@pytest.mark.parametrize("namespaces", [[], ["tapehouse-dev"], ["one", "two"]])
def test_rules_and_bindings_are_the_commands(program: Path, namespaces: list[str]) -> None:
    objects = render(program, {"namespaces": namespaces})
    options = [f"--namespace={name}" for name in namespaces]
    wanted = [d for d in yaml.safe_load_all(printed(*options)) if d]

    assert access(objects) == access(wanted)


def test_crds_are_the_generated_ones_and_kept(rendered: list[Object]) -> None:
    wanted = {}
    for path in (ROOT / "crds").glob("*.yaml"):
        body = yaml.safe_load(path.read_text())
        body["metadata"]["annotations"] = KEEP
        wanted[body["metadata"]["name"]] = body
    crds = [body for body in rendered if body["kind"] == "CustomResourceDefinition"]

    assert len(wanted) == 5
    assert {body["metadata"]["name"]: body for body in crds} == wanted


def test_crds_may_be_somebody_elses(program: Path) -> None:
    kinds = {body["kind"] for body in render(program, {"crds": {"install": False}})}
    assert "Deployment" in kinds
    assert "CustomResourceDefinition" not in kinds


def test_two_operators_one_at_work(rendered: list[Object]) -> None:
    deployment, budget = one(rendered, "Deployment"), one(rendered, "PodDisruptionBudget")
    template = deployment["spec"]["template"]

    assert deployment["spec"]["replicas"] == 2
    assert budget["spec"]["maxUnavailable"] == 1
    selected = budget["spec"]["selector"]["matchLabels"]
    assert selected.items() <= template["metadata"]["labels"].items()
    assert "--no-leader-election" not in container(rendered)["args"]
    assert [e["name"] for e in container(rendered)["env"]][:2] == ["POD_NAME", "POD_IP"]


def test_the_pod_may_do_little(rendered: list[Object]) -> None:
    pod = one(rendered, "Deployment")["spec"]["template"]["spec"]

    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container(rendered)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_probes_ask_where_the_operator_answers(rendered: list[Object]) -> None:
    found, service = container(rendered), named(rendered, "tapehouse-operator-metrics")
    paths = {p: found[f"{p}Probe"]["httpGet"]["path"] for p in ("startup", "liveness", "readiness")}

    assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    assert found["ports"][0] == {"name": "metrics", "containerPort": METRICS_PORT}
    assert service["spec"]["ports"][0]["port"] == METRICS_PORT


@pytest.mark.parametrize("namespaces", [[], ["tapehouse-dev", "tapehouse-test"]])
def test_the_command_line_is_one_the_operator_takes(program: Path, namespaces: list[str]) -> None:
    found = container(render(program, {"namespaces": namespaces, "logLevel": "DEBUG"}))
    command, verb, *options = [*found["command"], *found["args"]]

    assert (command, verb) == ("tapehouse-operator", "run")
    parsed = operator_run.make_context("run", options).params
    assert parsed["namespaces"] == tuple(namespaces)
    assert parsed["all_namespaces"] is not bool(namespaces)
    assert (parsed["workers"], parsed["log_level"]) == (16, "DEBUG")


def test_admission_listens_where_its_service_leads(rendered: list[Object]) -> None:
    (service,) = [
        body
        for body in rendered
        if body["kind"] == "Service" and body["metadata"]["name"].endswith("-admission")
    ]
    parsed = operator_run.make_context("run", container(rendered)["args"][1:]).params
    target = service["spec"]["ports"][0]["targetPort"]
    ports = {port["name"]: port["containerPort"] for port in container(rendered)["ports"]}

    assert ports[target] == parsed["admission_port"]
    assert service["spec"]["ports"][0]["port"] == 443
    where = f"{SYSTEM}/{service['metadata']['name']}"
    assert parsed["admission_service"] == where
    assert "data" not in one(rendered, "Secret"), "an upgrade leaves the certificates alone"


def test_admission_can_be_left_out(program: Path) -> None:
    objects = render(program, {"admission": {"enabled": False}})

    parsed = operator_run.make_context("run", container(objects)["args"][1:]).params
    assert parsed["admission_port"] == 0
    assert not [o for o in objects if "admission" in o["metadata"]["name"]]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replicas": 0}, "replicas"),
        ({"logLevel": "LOUD"}, "logLevel"),
        ({"namespaces": ["Not_A_Name"]}, "namespaces"),
        ({"replica": 3}, "replica"),
    ],
)
def test_wrong_values_are_refused_by_name(program: Path, values: dict[str, Any], said: str) -> None:
    with pytest.raises(HelmError, match=said):
        render(program, values)


def test_a_package_holds_the_crds_and_renders_the_same(
    program: Path, rendered: list[Object], tmp_path: Path
) -> None:
    run(program, "package", CHART, "--destination", tmp_path)
    (package,) = tmp_path.glob("tapehouse-*.tgz")
    with tarfile.open(package) as content:
        names = set(content.getnames())

    crds = {f"tapehouse/files/crds/{path.name}" for path in (ROOT / "crds").glob("*.yaml")}
    assert crds <= names
    assert not [name for name in names if "examples" in name or "schemas" in name]
    assert render(program, {}, package) == rendered


def test_the_chart_is_the_operators_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "operator/pyproject.toml").read_text())["project"]
    assert chart["appVersion"] == chart["version"] == project["version"]


def test_helm_has_nothing_to_complain_of(program: Path) -> None:
    run(program, "lint", "--strict", "--kube-version", KUBERNETES, CHART)


@pytest.mark.api
@pytest.mark.parametrize("namespaces", [[], ["default"]])
def test_an_api_server_takes_all_of_it(
    program: Path, apiserver: ApiServer, namespaces: list[str]
) -> None:
    objects = render(program, {"namespaces": namespaces})
    home = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": SYSTEM, "labels": {f"{POD_SECURITY}/warn": "restricted"}},
    }
    apiserver.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(home))

    said = apiserver.kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",  # the fixture has installed the same CRDs as another manager
        "--dry-run=server",
        "-f",
        "-",
        stdin=yaml.safe_dump_all(objects),
    )

    assert said.count("serverside-applied (server dry run)") == len(objects)
    assert "Warning" not in said
