"""Engines in processes of their own, which run tasks on request and report their cost."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tapehouse_laptop import jars, toolchain
from tapehouse_operator.emit.flink import SQL_CONFIGURATION

COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"


@dataclass(frozen=True)
class Worker:
    """A process that reads a line of JSON for each task and answers with one."""

    process: subprocess.Popen[str]

    def run(self, task: Mapping[str, Any]) -> dict[str, float]:
        """`cpu` and `seconds` of the task."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("{"):
                answer: dict[str, float] = json.loads(line)
                return answer
        raise AssertionError(f"the worker ended with {self.process.wait()} at {task}")


@contextmanager
def worker(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Worker]:
    """A worker, until the end."""
    pipe, environ = subprocess.PIPE, {**os.environ, **environment}
    process = subprocess.Popen(command, env=environ, stdin=pipe, stdout=pipe, text=True)
    try:
        yield Worker(process)
    finally:
        assert process.stdin
        process.stdin.close()  # which an idle one takes for the end
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def flink(scratch: Path, request: Mapping[str, Any], *more: str) -> Iterator[Worker]:
    """One Flink of parallelism 2 that runs SQL jobs with our connectors, functions and formats.

    `more` are other libraries, as Maven calls them.
    """
    _libraries(scratch, more)
    configuration = {
        **SQL_CONFIGURATION,
        "execution.target": "local",
        "parallelism.default": "2",
        "execution.checkpointing.interval": "5 s",
        "execution.checkpointing.dir": (scratch / "checkpoints").as_uri(),
        "restart-strategy.type": "none",
        "taskmanager.memory.network.min": "64 mb",
        "taskmanager.memory.network.max": "64 mb",
    }
    file = scratch / "request.json"
    file.write_text(json.dumps({"configuration": configuration, **request}))
    environment = {
        "TAPEHOUSE_ROOT": str(scratch),
        "TMPDIR": str(scratch),
        "JVM_ARGS": f"-Xmx1200m -XX:+UseSerialGC -Djava.io.tmpdir={scratch}",
    }
    python = toolchain.streams_environment() / "bin/python"
    script = Path(__file__).with_name("flink_worker.py")
    with worker([str(python), "-P", str(script), str(file)], environment) as running:
        yield running


def _libraries(scratch: Path, more: Sequence[str]) -> None:
    target = scratch / "opt/flink/lib"
    target.mkdir(parents=True)
    for jar in jars.flink().glob("*.jar"):
        (target / jar.name).symlink_to(jar)
    for artifact in more:
        copy = [str(toolchain.maven()), "-q", "-B", COPY, f"-Dartifact={artifact}"]
        subprocess.run([*copy, f"-DoutputDirectory={target}"], check=True)
