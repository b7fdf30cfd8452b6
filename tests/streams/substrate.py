"""The laptop's controllers in a process of their own: `python -m tests.streams.substrate`."""

import asyncio
import contextlib
import importlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from kubernetes.config import new_client_from_config
from tapehouse_laptop.components import Components, read_components
from tapehouse_laptop.context import Context
from tapehouse_laptop.kubeapi import Kube
from tapehouse_laptop.net import Net
from tapehouse_laptop.processes import sweep
from tapehouse_laptop.state import State

from tests.support.controlplane import ApiServer

T = TypeVar("T")
PATHS = {
    "secret": "api/v1",
    "flinkdeployment": "apis/flink.apache.org/v1beta1",
    **dict.fromkeys(("kafka", "kafkatopic", "kafkauser"), "apis/kafka.strimzi.io/v1"),
}
"""Where the API server has the kinds that tests look at."""


@dataclass
class Substrate:
    """Controllers `names` on a test's API server; they may be killed and started again."""

    server: ApiServer
    state: State
    names: tuple[str, ...]
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def log(self) -> Path:
        return self.state.root / "substrate.log"

    def start(self) -> None:
        self.state.ensure()
        arguments = [self.server.kubeconfig, self.server.net.prefix, self.state.root, *self.names]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.streams.substrate", *map(str, arguments)],
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=60)

    def kill(self) -> None:
        """As a machine that loses power: the controllers, and with them all they started."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def pids(self, component: str) -> dict[str, int]:
        return read_components(self.state)[component].pids

    def pid(self, component: str, process: str) -> int:
        return self.pids(component)[process]

    def kill_process(self, component: str, process: str) -> int:
        pid = self.pid(component, process)
        os.kill(pid, signal.SIGKILL)
        return pid

    def apply(self, *manifests: dict[str, Any]) -> None:
        everything = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.server.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(everything))

    def get(self, namespace: str, kind: str, name: str) -> dict[str, Any] | None:
        """An object as it is; asked for often, so without a process for each question."""
        path = f"/{PATHS[kind]}/namespaces/{namespace}/{kind}s/{name}"
        try:
            answer = self._client.call_api(
                path, "GET", auth_settings=["BearerToken"], _preload_content=False
            )
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        found: dict[str, Any] = json.loads(answer.data)
        return found

    @cached_property
    def _client(self) -> ApiClient:
        return new_client_from_config(str(self.server.kubeconfig))

    def wait(self, what: Callable[[], T | None], seconds: float = 120, saying: str = "") -> T:
        """The first true value of `what`; else AssertionError with the controllers' log."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(KeyError, TypeError):
                if found := what():
                    return found
            time.sleep(0.25)
        raise AssertionError(f"{saying} not within {seconds} s\n{self.log.read_text()[-4000:]}")


@contextmanager
def substrate(server: ApiServer, directory: Path, *names: str) -> Iterator[Substrate]:
    """Controllers running, and everything they started gone afterwards."""
    running = Substrate(server, State(directory), names)
    running.start()
    try:
        yield running
    finally:
        running.stop()
        left = sweep(running.state)
        assert not left, f"left running: {left}"


def condition(item: dict[str, Any] | None, kind: str = "Ready") -> dict[str, Any]:
    """A condition of an object; empty when it has none, or speaks of an older generation."""
    status = (item or {}).get("status", {})
    if not item or status.get("observedGeneration") != item["metadata"]["generation"]:
        return {}
    return next((c for c in status.get("conditions", ()) if c["type"] == kind), {})


async def _main(kubeconfig: str, prefix: str, root: str, *names: str) -> None:
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    state = State(Path(root))
    sweep(state)
    with contextlib.suppress(asyncio.CancelledError):
        async with Kube.connect(Path(kubeconfig)) as kube:
            context = Context(kube, Net(prefix), state, Components(state))
            async with asyncio.TaskGroup() as group:
                for name in names:
                    controller = importlib.import_module(f"tapehouse_laptop.{name}.controller")
                    group.create_task(controller.run(context))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(_main(*sys.argv[1:]))
