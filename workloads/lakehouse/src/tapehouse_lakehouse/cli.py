"""`tapehouse-lakehouse`: the publisher, and each of its tasks as a command."""

import functools
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
import duckdb
from kubernetes import client
from kubernetes.config import ConfigException
from pyiceberg.exceptions import RESTError
from tapehouse_contracts.logs import configure_logs
from urllib3.exceptions import HTTPError

from tapehouse_lakehouse.catalog import Lake, UnavailableError, connect
from tapehouse_lakehouse.dimensions.load import load
from tapehouse_lakehouse.kube import ConfigMapResults, Watcher, core_api, read_world
from tapehouse_lakehouse.maintenance import tasks
from tapehouse_lakehouse.metrics import Metrics, Server
from tapehouse_lakehouse.model import InvalidError, TableSpec, parse
from tapehouse_lakehouse.publisher import Publisher, run
from tapehouse_lakehouse.rewrite import SupersededError
from tapehouse_lakehouse.transforms import run as transforms
from tapehouse_lakehouse.worker import Worker, live_branch, work

QUIET_LIBRARIES = {
    "urllib3": logging.ERROR,
    "pyiceberg": logging.ERROR,
    "kubernetes": logging.WARNING,
}
"""This program logs lost connections and retried commits itself, once."""
log = logging.getLogger(__name__)

METRICS_PORT = 9102
SWITCH_SECONDS = 0.0005
"""Seconds after which a computing thread yields to others. A move makes dozens of requests, each of
which waits for the interpreter lock several times: beside a computing thread one took 13 ms at
Python's default of 5 ms, 4 ms at this value, and 1 ms alone. Maintenance and transforms compute in
threads of this process."""
FINISH_SECONDS = 15.0
"""Seconds for which a running task may continue after the signal to stop; commits are atomic."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings from the environment."""

    catalog_uri: str
    catalog_prefix: str
    namespace: str
    pod_ip: str
    log_level: str

    @classmethod
    def read(cls) -> "Settings":
        """Read the environment.

        Raises:
            click.ClickException: a variable is missing.
        """
        missing = [name for name in ("CATALOG_URI", "NAMESPACE") if not os.environ.get(name)]
        if missing:
            raise click.ClickException(f"set {' and '.join(missing)} in the environment")
        return cls(
            catalog_uri=os.environ["CATALOG_URI"],
            catalog_prefix=os.environ.get("CATALOG_PREFIX", ""),
            namespace=os.environ["NAMESPACE"],
            pod_ip=os.environ.get("POD_IP", "127.0.0.1"),
            log_level=os.environ.get("LOG_LEVEL", "INFO"),
        )


def _told(command: Callable[..., None]) -> Callable[..., None]:
    """Failures with a remedy become one line and exit code 1."""

    @functools.wraps(command)
    def wrapped(*args: object, **options: object) -> None:
        try:
            command(*args, **options)
        except ConfigException as error:
            raise click.ClickException(
                f"no Kubernetes API: {error}; set KUBECONFIG, or run in a Pod"
            ) from error
        except client.ApiException as error:
            raise click.ClickException(f"Kubernetes API: {error.status} {error.reason}") from error
        except (
            InvalidError,
            SupersededError,
            UnavailableError,
            RESTError,
            HTTPError,
            duckdb.Error,
            OSError,
        ) as error:
            raise click.ClickException(str(error)) from error

    return wrapped


@click.group()
def main() -> None:
    """Publish, transform and maintain the Iceberg tables of one namespace."""


@main.command()
@_told
def publish() -> None:
    """Move `main` of every job's tables to their newest common checkpoint, continuously.

    Transforms, dimension loads and maintenance run beside it, one at a time.
    """
    settings = Settings.read()
    configure_logs(settings.log_level, QUIET_LIBRARIES)
    sys.setswitchinterval(SWITCH_SECONDS)
    stop, poke = threading.Event(), threading.Event()
    _stop_on_signal(stop, poke)
    metrics = Metrics()
    api = core_api()
    watcher = Watcher(api, settings.namespace, poke.set)
    status = _Status(watcher)
    server = Server(metrics, status.why_not, (settings.pod_ip, METRICS_PORT))
    watcher.start()
    try:
        if _await_lake(settings, stop) and _await(watcher.synced, stop):
            results = ConfigMapResults(api, settings.namespace)
            status.publisher = Publisher(_lake(settings), results, metrics)
            worker = _start_worker(settings, api, watcher, metrics, stop)
            run(status.publisher, lambda: watcher.world, poke, stop)
            worker.join(FINISH_SECONDS)
    finally:
        watcher.stop()
        server.close()
    log.info("stopped")


def _start_worker(
    settings: Settings,
    api: client.CoreV1Api,
    watcher: Watcher,
    metrics: Metrics,
    stop: threading.Event,
) -> threading.Thread:
    """Its own connections and results: neither is thread-safe."""
    worker = Worker(_lake(settings), ConfigMapResults(api, settings.namespace), metrics)
    target = functools.partial(work, worker, lambda: watcher.world, stop)
    thread = threading.Thread(target=target, name="worker", daemon=True)
    thread.start()
    return thread


@main.command()
@click.argument("name")
@click.option("--spec", type=click.Path(exists=True, path_type=Path), help="A table.json.")
@_told
def transform(name: str, spec: Path | None) -> None:
    """Bring the transformed table NAME up to date with its inputs now."""
    settings = Settings.read()
    declared = _spec(settings, name, spec, "transform")
    if declared.scd is not None:
        _load(settings, declared)
        return
    done = transforms.run(_lake(settings), declared)
    click.echo(f"{name}: {done.changed} rows changed, {done.corrected} of them corrected")


@main.command()
@click.argument("name")
@click.option("--spec", type=click.Path(exists=True, path_type=Path), help="A table.json.")
@_told
def dimension(name: str, spec: Path | None) -> None:
    """Load the declared rows of the table NAME now."""
    settings = Settings.read()
    _load(settings, _spec(settings, name, spec, "rows"))


def _load(settings: Settings, declared: TableSpec) -> None:
    done = load(_lake(settings), declared, datetime.now(UTC))
    click.echo(f"{declared.table}: {done.rows} rows, {done.added} of them new")


@main.command()
@click.argument("name")
@click.option("--spec", type=click.Path(exists=True, path_type=Path), help="A table.json.")
@click.option(
    "--branch", help="The branch its producer writes. Default: that of the job's live revision."
)
@_told
def maintain(name: str, spec: Path | None, branch: str | None) -> None:
    """Compact the table NAME, expire its snapshots and remove its orphans now."""
    settings = Settings.read()
    declared = _spec(settings, name, spec)
    lake, upkeep = _lake(settings), declared.maintenance
    if upkeep and upkeep.compact:
        branch = branch or _branch(settings, declared)
        done = tasks.compact(lake, declared, upkeep.compact, branch)
        click.echo(f"{name}: {done.before} files, now {done.after}")
    if upkeep and upkeep.expire:
        done = tasks.expire(lake, declared, upkeep.expire)
        click.echo(f"{name}: {done.before} snapshots, now {done.after}")
    if upkeep and upkeep.orphans:
        done = tasks.sweep(lake, declared, upkeep.orphans)
        click.echo(f"{name}: {done.removed} orphans removed")


def _spec(settings: Settings, name: str, path: Path | None, kind: str = "") -> TableSpec:
    """The declaration of a table, from a file or from its ConfigMap.

    Raises:
        InvalidError: it cannot be read, or its producer is not `kind`.
    """
    if path is not None:
        text = path.read_text()
    else:
        found = core_api().read_namespaced_config_map(f"{name}-table", settings.namespace)
        text = (found.data or {}).get("table.json", "")
    spec: TableSpec = parse(text, TableSpec)
    if kind and spec.producer.type != kind:
        raise InvalidError(f"table {name}: its producer is a {spec.producer.type}, not {kind}")
    return spec


def _branch(settings: Settings, spec: TableSpec) -> str:
    if spec.producer.type != "stream":
        return "main"
    found = core_api().list_namespaced_config_map(
        settings.namespace, label_selector="tapehouse.dev/role=publish"
    )
    world = read_world({item.metadata.name: item for item in found.items})
    branch = live_branch(spec, world)
    if branch is None:
        raise InvalidError(f"table {spec.table}: no job writes it yet; give --branch")
    return branch


def _lake(settings: Settings) -> Lake:
    return Lake(connect(settings.catalog_uri), settings.catalog_prefix)


def _stop_on_signal(*events: threading.Event) -> None:
    def stopped(*_: object) -> None:
        for event in events:
            event.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stopped)


class _Status:
    """Why the publisher is not ready, for `/readyz`."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self.publisher: Publisher | None = None

    def why_not(self) -> str:
        if not self._watcher.synced.is_set():
            return "ConfigMaps are not listed yet"
        if self.publisher is None:
            return "the catalog has not answered yet"
        return self.publisher.catalog_error


def _await(event: threading.Event, stop: threading.Event) -> bool:
    while not event.wait(0.2):
        if stop.is_set():
            return False
    return True


def _await_lake(settings: Settings, stop: threading.Event) -> bool:
    """Wait until the catalog answers; false when stopped before that."""
    said = False
    while not stop.is_set():
        try:
            connect(settings.catalog_uri).close()
            return True
        except UnavailableError as error:
            if not said:
                log.warning("waiting for the catalog: %s", error)
            said = True
            stop.wait(1.0)
    return False
