"""The values of a bridge's metrics, read when Prometheus asks."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Protocol

from tapehouse_feed.intake import Intake
from tapehouse_feed.metrics import MetricValues
from tapehouse_feed.sink import Sink


class Connection(Protocol):
    """What is seen of a source."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""

    @property
    def connections(self) -> int:
        """Connections made since the start."""


def _one(kind: str, name: str, help_: str, value: float) -> MetricValues:
    return kind, name, help_, [({}, float(value))]


def _labelled(name: str, help_: str, label: str, values: Mapping[Any, int]) -> MetricValues:
    samples = [({label: str(key)}, float(value)) for key, value in values.items()]
    return "counter", name, help_, samples


def exported_metrics(
    intake: Intake, sink: Sink, source: Connection | None
) -> Iterator[MetricValues]:
    """Every number, now."""
    session, spill = intake.session, intake.spill
    ledgers = list(session.ledgers.values())
    counter, gauge = partial(_one, "counter"), partial(_one, "gauge")
    yield counter("frames", "Frames read from the source", session.frames)
    yield _labelled("events", "Events taken, by kind", "event", session.events)
    yield _labelled("dead_letters", "Dead letters, by reason", "reason", session.dead)
    yield _labelled("skipped", "Frames passed over, by why", "why", session.skipped)
    yield counter("acked", "Records that Kafka acknowledged", sink.acked)
    yield gauge("in_flight", "Records written and not acknowledged", sink.in_flight)
    yield gauge("paused", "1 while reading is stopped", bool(intake.paused_since))
    yield gauge("spilled_frames", "Frames that wait on disk", spill.frames if spill else 0)
    yield gauge("spilled_bytes", "Bytes that wait on disk", spill.bytes if spill else 0)
    yield gauge("connected", "1 while connected", bool(source and source.connected))
    yield counter("connections", "Connections made", source.connections if source else 0)
    yield gauge(
        "sequence", "Highest sequence number", max((x.high or 0 for x in ledgers), default=0)
    )
    yield gauge("gaps_open", "Gaps in the sequence", sum(len(x.gaps) for x in ledgers))
    yield gauge("missing", "Sequence numbers missing", sum(x.missing for x in ledgers))
    yield counter("gaps_opened", "Gaps opened since the start", sum(x.opened for x in ledgers))
    yield counter("gaps_closed", "Gaps filled since the start", sum(x.closed for x in ledgers))
    yield counter("lost", "Sequence numbers given up", sum(x.lost for x in ledgers))
    yield gauge("last_frame_timestamp_seconds", "When a frame came last", intake.last_frame / 1e6)
