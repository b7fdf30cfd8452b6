"""Which cluster a command works on, and what it says where it finds none."""

import os
from pathlib import Path

import pytest
from tapehouse_cli.names import no_such
from tapehouse_cli.target import Target
from tapehouse_laptop.state import State
from tapehouse_laptop.supervisor import Installation


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in which a platform runs, and a home without a kubeconfig."""
    for variable in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "TAPEHOUSE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    root = tmp_path / "project"
    (root / "docs" / "deep").mkdir(parents=True)
    state = State(root / ".tapehouse")
    state.ensure()
    running = Installation("127.77.0.0/16", ["tapehouse"], str(root))
    running.pid = os.getpid()
    running.started = process_start(running.pid)
    running.write(state)
    monkeypatch.chdir(root / "docs" / "deep")
    return root


def process_start(pid: int) -> float:
    import psutil

    return psutil.Process(pid).create_time()


def test_the_platform_is_found_from_any_directory_below(project: Path) -> None:
    assert Target().found_kubeconfig() == str(project / ".tapehouse" / "kubeconfig")


def test_the_users_own_choice_comes_first(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/of/the/user")
    assert Target().found_kubeconfig() == "/of/the/user"
    assert Target(kubeconfig="/given").found_kubeconfig() == "/given"


def test_a_context_means_the_users_kubeconfig(project: Path) -> None:
    usual = Path.home() / ".kube" / "config"
    usual.parent.mkdir(parents=True)
    usual.write_text("")
    assert Target(context="prod").found_kubeconfig() == str(usual)


def test_where_nothing_runs_it_names_what_it_looked_at(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.parent)
    with pytest.raises(
        FileNotFoundError, match=r"nothing runs in .*KUBECONFIG is not set.*~/.kube/config"
    ):
        Target().found_kubeconfig()


def test_a_missing_name_comes_with_the_nearest() -> None:
    assert no_such("TradeFeed", "markt", "namespace a", ["market", "coins"]).endswith(
        "did you mean market?"
    )
    assert no_such("TradeFeed", "x", "namespace a", ["market"]).endswith("it has market")
    assert no_such("TradeFeed", "x", "namespace a", []).endswith("which has no TradeFeed")
