"""Prometheus metrics of the query server."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

OPERATIONS = Histogram(
    "tapehouse_query_operation_seconds",
    "GraphQL operations by their first field, from parsing to the result",
    ("operation",),
    buckets=_SECONDS,
)
ERRORS = Counter("tapehouse_query_errors_total", "GraphQL errors by code", ("code",))
READS = Histogram("tapehouse_query_read_seconds", "Reads of the lake", ("read",), buckets=_SECONDS)
ROWS = Counter("tapehouse_query_rows_total", "Rows fetched from DuckDB")
FILES = Counter("tapehouse_query_files_total", "Data files handed to DuckDB")
BYTES = Counter("tapehouse_query_response_bytes_total", "Bytes of GraphQL answers over HTTP")
LIVE = Counter("tapehouse_query_live_events_total", "Events taken from Kafka", ("topic",))
SUBSCRIBERS = Gauge("tapehouse_query_subscribers", "Open subscriptions", ("stream",))
DROPPED = Counter(
    "tapehouse_query_dropped_events_total",
    "Events a slow subscriber has not been sent: the oldest go first",
    ("stream",),
)
