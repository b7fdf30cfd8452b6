"""`tapehouse-operator run` as a process on a real API server, with the rights it prints itself."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tapehouse_operator.kinds import KINDS
from tapehouse_operator.shell.rbac import manifests

from tests.support.controlplane import ApiServer
from tests.support.settings import SETTINGS

PORT = 9104
FEED = """
apiVersion: tapehouse.dev/v1alpha1
kind: TradeFeed
metadata: {name: market}
spec:
  preset: market/v1
  source: {simulator: {symbols: [AAPL], tradesPerSecond: 10, seed: 7}}
"""


@dataclass
class Operator:
    """One operator process in one namespace."""

    server: ApiServer
    namespace: str
    directory: Path
    address: str
    kubeconfig: Path = field(init=False)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.kubectl("create", "namespace", self.namespace, scoped=False)
        account = f"{self.namespace}/tapehouse-operator"
        rbac = yaml.safe_dump_all(manifests(KINDS, [self.namespace], account))
        self.kubectl("apply", "--server-side", "-f", "-", stdin=rbac)
        self.kubeconfig = self._kubeconfig()

    def _kubeconfig(self) -> Path:
        token = self.kubectl("create", "token", "tapehouse-operator").strip()
        config = yaml.safe_load(self.server.kubeconfig.read_text())
        config["users"] = [{"name": "operator", "user": {"token": token}}]
        config["contexts"][0]["context"] |= {"user": "operator", "namespace": self.namespace}
        path = self.directory / "operator.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path

    def kubectl(
        self, *args: str, stdin: str | None = None, scoped: bool = True, check: bool = True
    ) -> str:
        where = ("--namespace", self.namespace) if scoped else ()
        return self.server.kubectl(*where, *args, stdin=stdin, check=check)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def condition(self, kind: str, name: str, which: str) -> dict[str, Any]:
        conditions = self.get(kind, name).get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == which), {})

    def prepare(self) -> None:
        """Settings, and a Kafka that has told its address."""
        config = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "tapehouse-platform"},
            "data": SETTINGS,
        }
        kafka = {
            "apiVersion": "kafka.strimzi.io/v1",
            "kind": "Kafka",
            "metadata": {"name": "tape"},
            "spec": {
                "kafka": {
                    "listeners": [
                        {"name": "internal", "port": 9092, "type": "internal", "tls": False}
                    ]
                }
            },
        }
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([config, kafka]))
        listener = {"name": "internal", "bootstrapServers": "127.0.0.1:9092"}
        status = {"conditions": [{"type": "Ready", "status": "True"}], "listeners": [listener]}
        patch = json.dumps({"status": status})
        self.kubectl("patch", "kafka", "tape", "--subresource=status", "--type=merge", "-p", patch)

    def start(self, *options: str) -> None:
        command = [sys.executable, "-m", "tapehouse_operator", "run"]
        command += ["-n", self.namespace, "--address", self.address, *options]
        env = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        with (self.directory / "operator.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        wait_until(lambda: self.requests().get("WATCH", 0) > 0, "the operator to answer")

    def stop(self) -> int:
        """Ask it to end; its exit status."""
        if self.process is None:
            return 0
        self.process.terminate()
        process, self.process = self.process, None
        return process.wait(timeout=30)

    def log(self) -> list[str]:
        return (self.directory / "operator.log").read_text().splitlines()

    def requests(self) -> dict[str, int]:
        """How many requests it has sent, by verb."""
        prefix = 'tapehouse_kubernetes_requests_total{verb="'
        lines = [line for line in self._metrics() if line.startswith(prefix)]
        pairs = (line.removeprefix(prefix).split('"} ') for line in lines)
        return {verb: int(float(number)) for verb, number in pairs}

    def writes(self) -> int:
        return sum(n for verb, n in self.requests().items() if verb in ("PATCH", "POST", "DELETE"))

    def _metrics(self) -> list[str]:
        try:
            with urllib.request.urlopen(
                f"http://{self.address}:{PORT}/metrics", timeout=5
            ) as answer:
                text: str = answer.read().decode()
                return text.splitlines()
        except OSError:
            return []


@contextmanager
def running_operator(
    server: ApiServer, directory: Path, namespace: str, *options: str
) -> Iterator[Operator]:
    operator = Operator(server, namespace, directory, f"{server.net.prefix}.9.1")
    operator.prepare()
    operator.start(*(options or ("--no-leader-election",)))
    try:
        yield operator
    finally:
        operator.stop()
        operator.kubectl("delete", "namespace", namespace, "--wait=false", scoped=False)


def wait_until(so: Callable[[], Any], what: str, timeout: float = 60.0) -> None:
    deadline = time.monotonic() + timeout
    while not so():
        assert time.monotonic() < deadline, f"waited {timeout:.0f} s for {what}"
        time.sleep(0.2)
