"""Archives: Java starts from them, and does without."""

import subprocess
import time
from pathlib import Path

import pytest
from tapehouse_laptop import archives, jars, jvm, toolchain
from tapehouse_laptop.flink.wheel import Wheel


def test_without_an_archive_there_is_no_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(jvm, "digest", lambda: "1")
    assert jvm.archived(jvm.KAFKA) == ()
    file = jvm.archive_file(tmp_path / "tapehouse/archives-1", jvm.KAFKA)
    file.parent.mkdir(parents=True)
    file.touch()
    assert jvm.archived(jvm.KAFKA) == (f"-XX:SharedArchiveFile={file}",)
    assert jvm.archived(jvm.FLINK) == ()


def test_a_rehearsal_that_fails_is_told_and_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(jvm, "digest", lambda: "1")
    monkeypatch.setattr(toolchain, "java", lambda: toolchain.Java(Path("/none/java"), 17, ""))
    monkeypatch.setattr(jars, "catalog", lambda: tmp_path)
    told: list[str] = []
    for _ in range(2):
        archives.prepare(lambda _, detail: told.append(detail))
    assert len([word for word in told if "/none/java" in word]) == 1
    assert jvm.archived(jvm.KAFKA) == ()


def test_a_rehearsal_whose_jvm_dies_is_given_up_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\nexit 3\n")
    java.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(jvm, "digest", lambda: "1")
    monkeypatch.setattr(toolchain, "java", lambda: toolchain.Java(java, 17, ""))
    monkeypatch.setattr(jars, "catalog", lambda: tmp_path)
    told: list[str] = []
    began = time.monotonic()
    archives.prepare(lambda _, detail: told.append(detail))
    assert time.monotonic() - began < archives.START_SECONDS / 6
    assert "with 3" in told[-1]


@pytest.mark.local
def test_java_takes_every_archive() -> None:
    archives.prepare()
    paths = {
        jvm.KAFKA: f"{jars.kafka()}/*",
        jvm.CATALOG: f"{jars.catalog()}/*",
        jvm.FLINK: Wheel.find().class_path(),
    }
    for program, path in paths.items():
        options = jvm.archived(program)
        assert options
        argv = [toolchain.java().executable, "-Xshare:on", *options, "-cp", path, "-version"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "mismatch" not in done.stdout + done.stderr
