"""Helm for tests: the machine's own, else built once into the project's cache."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from tapehouse_laptop import cache, toolchain

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/tapehouse"
MODULE = "helm.sh/helm/v3/cmd/helm@v3.19.0"
KUBERNETES = "1.34.4"
SYSTEM = "tapehouse-system"
Object = dict[str, Any]


class HelmError(Exception):
    """Helm refused; the message is what it said."""


def helm() -> Path:
    """A helm 3: the one on PATH, else one built from source (minutes, the first time)."""
    found = shutil.which("helm")
    if found and _version(found).startswith("v3."):
        return Path(found)
    digest = cache.digest_of(MODULE, os.uname().sysname, os.uname().machine)
    return cache.entry("helm", digest, _build, _report) / "helm"


def run(program: Path, *args: str | Path, stdin: str = "") -> str:
    """What helm printed.

    Raises:
        HelmError: it failed.
    """
    done = subprocess.run(
        [program, *args], input=stdin, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise HelmError(done.stderr)
    return done.stdout


def render(program: Path, values: Mapping[str, Any], chart: Path = CHART) -> list[Object]:
    """The objects of the release `tapehouse` in `tapehouse-system`."""
    options = ["--namespace", SYSTEM, "--kube-version", KUBERNETES, "--values", "-"]
    text = run(program, "template", "tapehouse", chart, *options, stdin=yaml.safe_dump(values))
    return [body for body in yaml.safe_load_all(text) if body]


def one(objects: list[Object], kind: str) -> Object:
    """The only object of a kind."""
    (found,) = [body for body in objects if body["kind"] == kind]
    return found


def _version(program: str) -> str:
    done = subprocess.run(
        [program, "version", "--template", "{{.Version}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def _build(target: Path) -> None:
    go = toolchain.go(_report)
    settings = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOBIN": str(target)}
    cache.run(
        ["nice", go, "install", "-trimpath", MODULE],
        task="helm",
        progress=_report,
        env=os.environ | settings,
    )


def _report(task: str, detail: str) -> None:
    sys.__stderr__.write(f"{task}: {detail}\n") if sys.__stderr__ else None
