"""Bad surroundings get a clear error: what is wrong, and what to do."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tapehouse_laptop import surroundings, toolchain
from tapehouse_laptop.directory import Directory, check_files
from tapehouse_laptop.errors import LaptopError
from tapehouse_laptop.net import Net

from tests.support.controlplane import free_net

NO_KUBECTL = Path("/nonexistent")


def program(directory: Path, name: str, says: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it but what the test puts there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return tmp_path


def test_no_java_says_how_to_get_one(bare_path: Path) -> None:
    with pytest.raises(LaptopError, match=r"no Java found.*apt install openjdk"):
        toolchain.java()


def test_an_old_java_is_named_with_its_version(bare_path: Path) -> None:
    program(bare_path, "java", 'openjdk version "11.0.2" 2019-01-15')
    with pytest.raises(LaptopError, match=r"is Java 11, which is too old"):
        toolchain.java()


def test_java_8_calls_itself_1_8(bare_path: Path) -> None:
    program(bare_path, "java", 'java version "1.8.0_392"')
    with pytest.raises(LaptopError, match=r"is Java 8,"):
        toolchain.java()


def test_a_new_java_is_taken(bare_path: Path) -> None:
    program(bare_path, "java", 'openjdk version "21-ea" 2023-09-19')
    assert toolchain.java().version == 21


def test_a_wrong_java_home_is_named(bare_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/no/such/place")
    with pytest.raises(LaptopError, match="JAVA_HOME=/no/such/place"):
        toolchain.java()


def test_no_maven_says_how_to_get_it(bare_path: Path) -> None:
    with pytest.raises(LaptopError, match=r"no mvn found.*apt install maven"):
        toolchain.maven()


def test_a_taken_port_is_told_with_its_process() -> None:
    address = free_net().control_plane
    with socket.socket() as holder:
        holder.bind((address, 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(LaptopError, match=rf"{port}, which etcd needs.*process {os.getpid()} "):
            surroundings.check_port(address, port, "etcd")


def test_anothers_installation_is_told_by_its_directory() -> None:
    address = free_net().control_plane
    script = (
        "import socket, sys; s = socket.socket(); s.bind((sys.argv[1], 0)); s.listen(); "
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TAPEHOUSE_STATE": "/home/ann/.tapehouse"},
    )
    with other:
        assert other.stdout
        port = int(other.stdout.readline())
        with pytest.raises(
            LaptopError, match=r"TAPEHOUSE_HOME=/home/ann/.tapehouse tapehouse down"
        ):
            surroundings.check_port(address, port, "etcd")
        other.communicate("")


def test_a_nearly_full_disk_is_refused_with_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(surroundings.MINIMUM_FREE_VARIABLE, "9000000")
    with pytest.raises(LaptopError, match=r"has [\d.]+ GiB left and 9e\+06 GiB are needed"):
        surroundings.check_disk(tmp_path)


def test_a_network_that_is_not_loopback_is_refused() -> None:
    for wrong in ("10.0.0.0/16", "127.77.0.0/24", "127.77", "127.77.0.1/16"):
        with pytest.raises(ValueError, match=r"podNetwork.*127\.x\.0\.0/16"):
            Net.parse(wrong)


def test_yaml_that_cannot_be_read_is_told_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("apiVersion: v1\nkind: ConfigMap\n  metadata: x\n")
    with pytest.raises(LaptopError, match=r"bad\.yaml:3:11: mapping values are not allowed"):
        check_files(tmp_path)


def test_yaml_named_by_a_kustomization_elsewhere_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "local").mkdir()
    (tmp_path / "base" / "bad.yaml").write_text("kind: [unclosed\n")
    (tmp_path / "base" / "kustomization.yaml").write_text("resources: [bad.yaml]\n")
    (tmp_path / "local" / "kustomization.yaml").write_text("resources: [../base]\n")
    with pytest.raises(LaptopError, match=r"base/bad\.yaml:2:1"):
        check_files(tmp_path / "local")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("- a\n- b\n", "a resource is a mapping, not a list"),
        ("kind: ConfigMap\nmetadata: {name: x}\n", "document 1 has no apiVersion"),
        ("apiVersion: v1\nkind: ConfigMap\n", "document 1 has no metadata.name"),
        ("", "holds no resources"),
    ],
)
def test_what_is_not_a_resource_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "x.yaml").write_text(content)
    with pytest.raises(LaptopError, match=said):
        Directory.read(tmp_path, NO_KUBECTL)


def test_the_settings_give_network_and_namespaces(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\n"
        "metadata: {name: tapehouse-platform, namespace: a}\n"
        "data: {podNetwork: 127.9.0.0/16}\n"
        "---\n"
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other, namespace: b}\n"
    )
    directory = Directory.read(tmp_path, NO_KUBECTL)
    assert directory.net == Net("127.9")
    assert directory.namespaces == ("a", "b")


@pytest.mark.parametrize("arguments", [["up", "no/such/place"], ["status"], ["info", "--json"]])
def test_the_command_line_shows_no_stack_trace(tmp_path: Path, arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tapehouse_cli.main", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "TAPEHOUSE_HOME": str(tmp_path / "home")},
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stdout + done.stderr
