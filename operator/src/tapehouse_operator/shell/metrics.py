"""Prometheus metrics: counted as things happen, or read from the caches when scraped."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from tapehouse_kube.objects import Ref
from tapehouse_kube.queue import WakeQueue

from tapehouse_operator.backends.store import Store
from tapehouse_operator.kinds.contract import Key
from tapehouse_operator.names import API_VERSION
from tapehouse_operator.reconcile import Outcome

RECONCILE_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)
READY_BUCKETS = (0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800)


class Metrics:
    """The operator's own registry."""

    def __init__(self, store: Store, queue: WakeQueue[Key], calls: Mapping[str, int]) -> None:
        self.registry = CollectorRegistry()
        self._since: dict[Key, tuple[int, float]] = {}
        self._duration = Histogram(
            "tapehouse_reconcile_duration_seconds",
            "How long one reconcile takes.",
            ["kind"],
            buckets=RECONCILE_BUCKETS,
            registry=self.registry,
        )
        self._outcomes = Counter(
            "tapehouse_reconciles_total",
            "Reconciles by how they ended.",
            ["kind", "result"],
            registry=self.registry,
        )
        self._ready = Histogram(
            "tapehouse_apply_to_ready_seconds",
            "From the first sight of a new generation until it is Ready.",
            ["kind"],
            buckets=READY_BUCKETS,
            registry=self.registry,
        )
        depth = Gauge("tapehouse_queue_depth", "Keys that wait.", registry=self.registry)
        depth.set_function(lambda: queue.depth)
        self.registry.register(_StoreCollector(store, calls))

    @contextmanager
    def timed(self, key: Key) -> Iterator[None]:
        """Measure one reconcile."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._duration.labels(key.kind).observe(time.perf_counter() - started)

    def reconciled(self, key: Key, outcome: Outcome) -> None:
        """Count one reconcile; a generation that gets Ready is timed from its first sight."""
        result = "gone" if outcome.gone else "retry" if outcome.retry else "done"
        self._outcomes.labels(key.kind, result).inc()
        if outcome.gone:
            self._since.pop(key, None)
            return
        now = time.monotonic()
        generation, since = self._since.get(key, (0, now))
        if generation != outcome.generation:
            since = now
        if not outcome.ready:
            self._since[key] = (outcome.generation, since)
        elif self._since.pop(key, None) is not None:
            self._ready.labels(key.kind).observe(now - since)

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)


class _StoreCollector:
    """What can be told from the caches costs nothing until somebody asks."""

    def __init__(self, store: Store, calls: Mapping[str, int]) -> None:
        self._store, self._calls = store, calls

    def collect(self) -> Iterator[Metric]:
        conditions = GaugeMetricFamily(
            "tapehouse_resource_condition",
            "1 for the status each condition has.",
            labels=["kind", "namespace", "name", "condition", "status"],
        )
        objects = GaugeMetricFamily("tapehouse_objects", "Live objects known.", labels=["kind"])
        counts: dict[str, int] = {}
        for ref, entry in self._store.items():
            counts[ref.kind] = counts.get(ref.kind, 0) + 1
            if ref.api_version == API_VERSION:
                _add_conditions(conditions, ref, entry.body.get("status") or {})
        for kind, count in sorted(counts.items()):
            objects.add_metric([kind], count)
        requests = CounterMetricFamily(
            "tapehouse_kubernetes_requests", "Requests to the API server.", labels=["verb"]
        )
        for verb, number in sorted(self._calls.items()):
            requests.add_metric([verb], number)
        yield from (conditions, objects, requests)


def _add_conditions(family: GaugeMetricFamily, ref: Ref, status: dict[str, object]) -> None:
    conditions = status.get("conditions")
    for one in conditions if isinstance(conditions, list) else ():
        labels = [ref.kind, ref.namespace, ref.name, one["type"], one["status"]]
        family.add_metric(labels, 1)
