"""Stacks are read from the environments; errors in one are reported by name."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from tapehouse_infra.stack import Peer, StackError, load

ENVIRONMENTS = Path(__file__).resolve().parents[2] / "environments"
STACKS = ("dev", "staging", "prod")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for part in ("dev", "stacks"):
        shutil.copytree(ENVIRONMENTS / part, tmp_path / part)
    return tmp_path


def change(environments: Path, field: str, value: Any) -> None:
    path = environments / "stacks/dev.yaml"
    body = yaml.safe_load(path.read_text())
    where = body
    *parents, last = field.split(".")
    for key in parents:
        where = where[key]
    where[last] = value
    path.write_text(yaml.safe_dump(body))


@pytest.mark.parametrize("name", STACKS)
def test_every_environment_is_a_stack(name: str) -> None:
    stack = load(ENVIRONMENTS, name)

    assert stack.namespace == f"tapehouse-{name}"
    assert stack.system_namespace == f"tapehouse-{name}-system"
    assert Peer(ports=(8081,), namespace="flink-operator") in stack.allowed_from
    assert {"requests.cpu", "requests.memory"} <= set(stack.quota)


def test_an_unknown_stack_is_told_the_known_ones() -> None:
    with pytest.raises(StackError, match="the stacks are dev, prod, staging"):
        load(ENVIRONMENTS, "test")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("quotas", {}, "quotas is {}: the fields here are quota"),
        ("quota", None, "quota is None: a mapping is expected"),
        ("quota.pods", 40, "quota.pods is 40: a text is expected"),
        ("limits.max", "8Gi", "limits.max is '8Gi'"),
        ("allow.from", {}, r"allow.from is {}: a list"),
        ("allow.to", [{"namespace": "a"}], r"allow.to\[0\] is"),
        ("allow.to", [{"namespace": "a", "ports": [0]}], r"allow.to\[0\].ports is \[0\]"),
        ("allow.to", [{"cidr": "10.0.0.1/8", "ports": [1]}], r"allow.to\[0\].cidr is '10.0.0.1/8'"),
        ("allow.both", [], "allow.both is"),
    ],
)
def test_wrong_fields_are_named(copied: Path, field: str, value: Any, said: str) -> None:
    change(copied, field, value)
    with pytest.raises(StackError, match=said):
        load(copied, "dev")
