"""A whole platform of the test's own: its own directory, loopback range and seed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml
from pyiceberg.catalog.rest import RestCatalog
from tapehouse_laptop.controlplane import binaries

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / "environments/local"
BIN = Path(sys.executable).parent
READY_SECONDS = 420
Body = dict[str, Any]
Edit = Callable[[Body], None]
Keep = Callable[[Body], bool]


@cache
def kubectl() -> str:
    """The one that the project builds: a machine need not have another."""
    return str(binaries.find_or_build()["kubectl"])


def run(*args: str, env: Mapping[str, str] | None = None, timeout: float = 120) -> str:
    """The standard output of a command that must succeed; its words are the failure."""
    done = subprocess.run(
        args,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(env or {})},
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(args)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def eventually(check: Callable[[], object], seconds: float = 60, every: float = 0.5) -> Any:
    """The first truthy answer of `check`; its last answer or error is the failure."""
    end, last = time.monotonic() + seconds, None
    while time.monotonic() < end:
        try:
            if last := check():
                return last
        except Exception as error:
            last = error
        time.sleep(every)
    raise AssertionError(f"not within {seconds:.0f} s: {last!r}")


@dataclass(frozen=True)
class Platform:
    """A running platform."""

    home: Path
    directory: Path
    namespace: str = "tapehouse"

    @property
    def env(self) -> dict[str, str]:
        return {"TAPEHOUSE_HOME": str(self.home)}

    def tapehouse(self, *args: str, timeout: float = READY_SECONDS) -> str:
        return run(str(BIN / "tapehouse"), *args, env=self.env, timeout=timeout)

    def up(self) -> None:
        self.tapehouse("up", str(self.directory), "--detach", "--timeout", "900", timeout=960)

    @cached_property
    def info(self) -> dict[str, Any]:
        """Where everything answers, which stays so while it runs."""
        return json.loads(self.tapehouse("info", "--json"))

    @property
    def catalog(self) -> RestCatalog:
        """The Iceberg catalog, by a client that holds no connection from before a restart."""
        return RestCatalog("tapehouse", **self.info["catalog"])

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        done = self.try_kubectl(*args, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(args)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def try_kubectl(self, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [kubectl(), "--kubeconfig", self.info["kubeconfig"], "-n", self.namespace, *args],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return json.loads(self.kubectl("get", kind, name, "-o", "json"))

    def condition(self, kind: str, name: str, wanted: str) -> dict[str, Any]:
        """One condition of a resource, or an empty mapping; `current` says whether it is of the
        newest generation."""
        body = self.get(kind, name)
        for found in body.get("status", {}).get("conditions", []):
            if found["type"] == wanted:
                current = found.get("observedGeneration") == body["metadata"]["generation"]
                return {**found, "current": current}
        return {}

    def wait(self, kind: str, name: str, wanted: str = "Ready", status: str = "True") -> Any:
        def there() -> object:
            found = self.condition(kind, name, wanted)
            return found.get("status") == status and found["current"] and found

        return eventually(there, READY_SECONDS)


@contextmanager
def running(home: Path, net: str, edit: Edit, keep: Keep = bool) -> Iterator[Platform]:
    """`environments/local`, edited, of which what `keep` says; gone with its data at the end."""
    platform = Platform(home / ".tapehouse", environment(home / "environment", net, edit, keep))
    try:
        platform.up()
        yield platform
    finally:
        platform.tapehouse("down", "--data")


def environment(target: Path, net: str, edit: Edit, keep: Keep) -> Path:
    """The manifests as one file in `target`, on another loopback range."""
    rendered = run(kubectl(), "kustomize", str(LOCAL)).replace("127.77.", f"127.{net}.")
    objects = [body for body in yaml.safe_load_all(rendered) if body and keep(body)]
    for body in objects:
        edit(body)
    target.mkdir(parents=True, exist_ok=True)
    (target / "all.yaml").write_text(yaml.safe_dump_all(objects, sort_keys=False))
    return target
