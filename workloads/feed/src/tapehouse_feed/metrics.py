"""A bridge's metrics for Prometheus, and whether it is ready."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

PORT = 9100
PREFIX = "tapehouse_feed_"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Latency:
    """A histogram that one thread fills and another reads."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float, times: int) -> None:
        """Count what took so long and happened so many times."""
        seconds = max(0.0, seconds)
        index = next((i for i, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))
        self._counts[index] += times
        self._sum += seconds * times

    def family(self, name: str, help_: str, feed: str) -> Metric:
        """The histogram as Prometheus wants it."""
        total, buckets = 0, []
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        family = HistogramMetricFamily(name, help_, labels=["feed"])
        family.add_metric([feed], buckets, self._sum)
        return family


MetricValues = tuple[str, str, str, Iterable[tuple[dict[str, str], float]]]
"""`counter` or `gauge`, name, help, and labels with values."""


class Collector:
    """Asks the bridge at scrape time: counting costs the hot path nothing."""

    def __init__(
        self, feed: str, latency: Latency, read: Callable[[], Iterable[MetricValues]]
    ) -> None:
        self._feed = feed
        self._latency = latency
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Every metric, now."""
        for kind, name, help_, samples in self._read():
            make: Any = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
            values = list(samples)
            labels = list(values[0][0]) if values else []
            family = make(PREFIX + name, help_, labels=["feed", *labels])
            for own, value in values:
                family.add_metric([self._feed, *own.values()], value)
            yield family
        yield self._latency.family(
            PREFIX + "ack_seconds", "From the socket to Kafka's acknowledgement", self._feed
        )


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Probes and scrapes are not news."""


class Server:
    """`/metrics`, `/readyz`, `/healthz` on one address, in a thread of its own."""

    def __init__(self, collector: Collector, not_ready: Callable[[], str]) -> None:
        registry = CollectorRegistry()
        registry.register(collector)
        self._metrics = make_wsgi_app(registry)
        self._not_ready = not_ready
        self._httpd: WSGIServer | None = None

    def start(self, host: str, port: int = PORT) -> int:
        """Serve; gives the port.

        Raises `OSError` when the address is taken.
        """
        self._httpd = make_server(host, port, self._answer, handler_class=_Quiet)
        threading.Thread(target=self._httpd.serve_forever, daemon=True, name="metrics").start()
        return self._httpd.server_port

    def stop(self) -> None:
        """Give the port back."""
        if self._httpd:
            self._httpd.shutdown()
            self._httpd.server_close()

    def _answer(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start_response)
            return answer
        if path not in ("/readyz", "/healthz"):
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"/metrics /readyz /healthz\n"]
        why = self._not_ready() if path == "/readyz" else ""
        status = "503 Service Unavailable" if why else "200 OK"
        start_response(status, [("Content-Type", "text/plain")])
        return [f"{why or 'ok'}\n".encode()]
