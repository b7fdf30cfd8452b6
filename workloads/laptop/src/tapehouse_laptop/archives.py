"""Makes the archives of `jvm`: a rehearsal of broker, catalog and Flink, once per machine.

Each runs as it does later and writes down what it has loaded as it ends. Flink's three programs
share one archive: in the rehearsal one process is everything.
"""

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException, Producer

from tapehouse_laptop import cache, jars, jvm, toolchain
from tapehouse_laptop import cds_training as rehearsal
from tapehouse_laptop.errors import LaptopError
from tapehouse_laptop.flink.config import LOG4J
from tapehouse_laptop.flink.wheel import Wheel
from tapehouse_laptop.kafka.admin import Admin, UnreachableError
from tapehouse_laptop.kafka.config import (
    Broker,
    Listener,
    client_config,
    format_arguments,
    log4j_properties,
    new_cluster_id,
    server_properties,
)
from tapehouse_laptop.net import Net
from tapehouse_laptop.processes import signal_group

RECORD, QUIET = "-XX:ArchiveClassesAtExit=", "-Xlog:disable"
"""What cannot be archived is said class by class, thousands of times."""
FAILURES = (LaptopError, UnreachableError, KafkaException, OSError, subprocess.SubprocessError)
START_SECONDS, END_SECONDS, JOB_SECONDS = 180.0, 300.0, 900.0
POLL = 0.25
TASK = "archives"
REMARK = "why-none.txt"
KEPT = 3
"""Sets of archives, 270 MB each: a developer makes one with every change of the functions."""


def prepare(progress: cache.Progress = cache.silent) -> None:
    """Make the archives of this machine where there are none.

    It is tried once: a Java that cannot is no reason not to start.
    """
    cache.entry(TASK, jvm.digest(), lambda at: _attempt(at, progress), progress)


def _attempt(target: Path, progress: cache.Progress) -> None:
    _forget(target.parent)
    progress(TASK, "a rehearsal of broker, catalog and Flink, once")
    with tempfile.TemporaryDirectory() as place:
        try:
            _Rehearsal(Path(place), target, _free_net(), progress).run()
        except FAILURES as error:
            for part in target.iterdir():
                part.unlink()
            (target / REMARK).write_text(f"{error}\n")
            progress(TASK, f"none, everything starts more slowly: {error}")


def _forget(directory: Path) -> None:
    """Remove the oldest archives; a JVM that runs from one keeps what it has."""
    known = sorted(directory.glob("archives-*"), key=lambda path: path.stat().st_mtime)
    for old in known[: 1 - KEPT]:
        shutil.rmtree(old)


def _free_net() -> Net:
    return Net(f"127.{100 + secrets.randbelow(100)}")


@dataclass(frozen=True, slots=True)
class _Rehearsal:
    """One run in `place`, which leaves the archives in `target`."""

    place: Path
    target: Path
    net: Net
    progress: cache.Progress

    def run(self) -> None:
        with self._catalog() as uri, self._broker() as clients:
            _publish(clients)
            self._job(rehearsal.job(clients, uri))

    @contextmanager
    def _broker(self) -> Iterator[dict[str, str]]:
        broker = Broker(
            cluster_id=new_cluster_id(),
            host=self.net.kafka,
            listeners=(Listener("internal", 9092, scram=True),),
            overrides={},
            authorized=True,
            superusers=(),
            data=self.place / "kafka",
            password=secrets.token_hex(8),
        )
        properties, log4j = self.place / "server.properties", self.place / "log4j2.properties"
        properties.write_text(server_properties(broker))
        log4j.write_text(log4j_properties(self.place / "kafka.log"))
        path = [f"-Dlog4j2.configurationFile={log4j}", "-cp", f"{jars.kafka()}/*"]
        self._run([toolchain.java().executable, *path, *format_arguments(broker, properties)])
        clients = client_config(broker)
        with self._recorded(jvm.KAFKA, [*path, "kafka.Kafka", str(properties)], {}) as process:
            _until(lambda: _answers(clients), process)
            yield clients

    @contextmanager
    def _catalog(self) -> Iterator[str]:
        host = self.net.address(0, 10)
        settings = {
            "CATALOG_HOST": host,
            "CATALOG_PORT": "8181",
            "CATALOG_DATABASE": str(self.place / "catalog.db"),
            "CATALOG_WAREHOUSE": str(self.place / "warehouse"),
        }
        arguments = ["-cp", f"{jars.catalog()}/*", "dev.tapehouse.catalog.Main"]
        with self._recorded(jvm.CATALOG, arguments, settings) as process:
            uri = f"http://{host}:8181"
            _until(lambda: _serves(f"{uri}/v1/config"), process)
            yield uri

    @contextmanager
    def _recorded(
        self, program: str, arguments: Sequence[str], settings: Mapping[str, str]
    ) -> Iterator["subprocess.Popen[bytes]"]:
        java = toolchain.java().executable
        options = [RECORD + str(jvm.archive_file(self.target, program)), QUIET, *jvm.BRIEF]
        with (self.place / f"{program}.out").open("wb") as output:
            process = subprocess.Popen(
                [java, *options, *arguments],
                env={**os.environ, **settings},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            process.wait(END_SECONDS)
        finally:
            process.kill()
            process.wait()

    def _job(self, job: Mapping[str, object]) -> None:
        wheel = Wheel.find()
        file, conf = self.place / "job.json", self.place / "conf"
        conf.mkdir()
        (conf / "log4j.properties").write_text(LOG4J)
        (conf / "config.yaml").write_text("{}")
        file.write_text(json.dumps(job))
        record = RECORD + str(jvm.archive_file(self.target, jvm.FLINK))
        flink = wheel.client_environment(conf, self.place, self.place, [record, QUIET])
        # PyFlink's JVM outlives it by the time that it writes: it holds the output open.
        argv: list[str | Path] = [wheel.python, "-m", "tapehouse_streams.replay", file]
        self._run(argv, flink)

    def _run(self, argv: Sequence[str | Path], settings: Mapping[str, str] | None = None) -> None:
        """Run a program until it, and whoever holds its output, has ended."""
        began = time.monotonic()
        process = subprocess.Popen(
            argv,
            env={**os.environ, **(settings or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            while (said := _said(process)) is None:
                elapsed = time.monotonic() - began
                self.progress(TASK, f"a rehearsal, {elapsed:.0f} s")
                if elapsed > JOB_SECONDS:
                    raise LaptopError(f"{argv[0]} has not ended after {elapsed:.0f} s")
        finally:
            signal_group(process.pid, signal.SIGKILL)
        if process.returncode:
            raise LaptopError(f"{argv[0]} failed: {said.strip()[-1000:]}")


def _said(process: "subprocess.Popen[str]") -> str | None:
    """All its output; None after a second in which it has not ended."""
    try:
        return process.communicate(timeout=1)[0]
    except subprocess.TimeoutExpired:
        return None


def _until(there: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while not there():
        if process.poll() is not None:
            raise LaptopError(f"a rehearsing JVM ended at once, with {process.returncode}")
        if time.monotonic() > deadline:
            raise LaptopError(f"the rehearsal did not start in {START_SECONDS:.0f} s")
        time.sleep(POLL)


def _answers(clients: Mapping[str, str]) -> bool:
    try:
        asyncio.run(Admin(clients).ping())
    except (UnreachableError, KafkaException):
        return False
    return True


def _serves(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - http of our own
    except (urllib.error.URLError, OSError):
        return False
    return True


def _publish(clients: Mapping[str, str]) -> None:
    """The topics of the job, one with events in it."""
    admin = Admin(clients)
    for topic in rehearsal.TOPICS:
        asyncio.run(admin.create_topic(topic, 2, 1, {}))
    producer = Producer(dict(clients))
    for key, value in rehearsal.events():
        producer.produce(rehearsal.TOPICS[0], value, key)
    producer.flush(30)
