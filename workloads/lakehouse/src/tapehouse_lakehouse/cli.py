"""`tapehouse-lakehouse`: the publisher, and its tasks one by one."""

import logging
import os
import signal
import sys
import threading
from dataclasses import dataclass

import click

from tapehouse_lakehouse.catalog import Lake, UnavailableError, connect
from tapehouse_lakehouse.kube import ConfigMapResults, Watcher, core_api
from tapehouse_lakehouse.metrics import Metrics, Server
from tapehouse_lakehouse.publisher import Publisher, run

log = logging.getLogger(__name__)

METRICS_PORT = 9102


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says."""

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


@click.group()
def main() -> None:
    """Publish, transform and maintain the Iceberg tables of one namespace."""


@main.command()
def publish() -> None:
    """Move `main` of every job's tables to their newest common checkpoint, for ever."""
    settings = Settings.read()
    _log_to_stderr(settings.log_level)
    stop, poke = threading.Event(), threading.Event()
    _stop_on_signal(stop, poke)
    metrics = Metrics()
    api = core_api()
    watcher = Watcher(api, settings.namespace, poke.set)
    status = _Status(watcher)
    server = Server(metrics, status.why_not, (settings.pod_ip, METRICS_PORT))
    watcher.start()
    try:
        lake = _await_lake(settings, stop)
        if lake is not None and _await(watcher.synced, stop):
            results = ConfigMapResults(api, settings.namespace)
            status.publisher = Publisher(lake, results, metrics)
            run(status.publisher, lambda: watcher.world, poke, stop)
    finally:
        watcher.stop()
        server.close()
    log.info("stopped")


def _stop_on_signal(*events: threading.Event) -> None:
    def told(*_: object) -> None:
        for event in events:
            event.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)


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


def _await_lake(settings: Settings, stop: threading.Event) -> Lake | None:
    """Connect as soon as the catalog answers; None when told to stop before that."""
    said = False
    while not stop.is_set():
        try:
            return Lake(connect(settings.catalog_uri), settings.catalog_prefix)
        except UnavailableError as error:
            if not said:
                log.warning("waiting for the catalog: %s", error)
            said = True
            stop.wait(1.0)
    return None


def _log_to_stderr(level: str) -> None:
    line = '{"at":"%(asctime)s","level":"%(levelname)s","logger":"%(name)s","message":%(message)r}'
    logging.basicConfig(stream=sys.stderr, level=level, format=line)
    # One line per connection lost to a restarting catalog is enough, and that line is ours.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
