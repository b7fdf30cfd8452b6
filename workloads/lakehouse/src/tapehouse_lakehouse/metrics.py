"""What the publisher shows: numbers that move on `/metrics`, whether it works on `/readyz`."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 30, 60, 300)


class Metrics:
    """The publisher's own registry: one per process, or per test."""

    def __init__(self) -> None:
        self.registry = r = CollectorRegistry()
        table = ("table",)
        self.snapshot_time = Gauge(
            "tapehouse_table_snapshot_timestamp_seconds",
            "When the snapshot readers see was committed, seconds since 1970",
            table,
            registry=r,
        )
        self.rows = Gauge("tapehouse_table_rows", "Rows readers see", table, registry=r)
        self.lag = Gauge(
            "tapehouse_publish_lag_seconds",
            "From the commit of the newest published checkpoint until readers saw it",
            table,
            registry=r,
        )
        self.publish_seconds = Histogram(
            "tapehouse_publish_seconds",
            "From the commit of a checkpoint until readers saw it",
            table,
            registry=r,
            buckets=SECONDS,
        )
        self.visible_seconds = Histogram(
            "tapehouse_row_visible_seconds",
            "From Kafka until readers saw it, of the oldest row of a checkpoint; a sample of them",
            table,
            registry=r,
            buckets=SECONDS,
        )
        self.moves = Counter("tapehouse_publish_moves", "Moves of main", table, registry=r)
        self.conflicts = Counter(
            "tapehouse_publish_conflicts", "Moves refused because a table changed", registry=r
        )
        self.catalog_errors = Counter(
            "tapehouse_publish_catalog_errors", "Requests the catalog did not answer", registry=r
        )
        self.catalog_up = Gauge(
            "tapehouse_publish_catalog_up", "1 while the catalog answers", registry=r
        )
        self.task_seconds = Histogram(
            "tapehouse_lakehouse_task_seconds",
            "Duration of transforms, dimension loads and maintenance",
            ("task", "table"),
            registry=r,
            buckets=(0.1, 0.5, 1, 5, 15, 60, 300, 1800),
        )
        self.task_failures = Counter(
            "tapehouse_lakehouse_task_failures",
            "Transforms, dimension loads and maintenance that failed",
            ("task", "table"),
            registry=r,
        )
        self.corrected = Counter(
            "tapehouse_transform_corrected_rows",
            "Rows already published that a transform changed or removed",
            table,
            registry=r,
        )

    def forget(self, table: str) -> None:
        """Stop showing a table that is no longer published."""
        for shown in (self.snapshot_time, self.rows, self.lag, self.publish_seconds):
            if (table,) in shown._metrics:
                shown.remove(table)


class Server:
    """Serves `/metrics`, `/healthz` and `/readyz` until closed."""

    def __init__(
        self, metrics: Metrics, ready: Callable[[], str], address: tuple[str, int]
    ) -> None:
        """Bind `address`; `ready` returns an empty string, or why not.

        Raises:
            OSError: the address cannot be had; the message names it.
        """
        try:
            self._server = ThreadingHTTPServer(address, _handler(metrics, ready))
        except OSError as error:
            raise OSError(f"{address[0]}:{address[1]}: {error.strerror}") from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving and release the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(metrics: Metrics, ready: Callable[[], str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, generate_latest(metrics.registry), CONTENT_TYPE_LATEST)
            elif self.path in ("/healthz", "/readyz"):
                why = ready() if self.path == "/readyz" else ""
                self._answer(503 if why else 200, (why or "ok").encode(), "text/plain")
            else:
                self._answer(404, b"not found", "text/plain")

        def _answer(self, code: int, body: bytes, kind: str) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Probes every few seconds are not news."""

    return Handler
