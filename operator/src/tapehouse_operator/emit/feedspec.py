"""From a TradeFeed's spec to its events and topics, refusing what cannot be."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from tapehouse_contracts.types import is_reserved

from tapehouse_operator.api.base import Reason, duration
from tapehouse_operator.api.tradefeed import Compatibility, FeedTopic, TradeFeed
from tapehouse_operator.emit.consumers import Consumers, Source, event_readers, readers
from tapehouse_operator.emit.eventrules import check_rules
from tapehouse_operator.emit.events import (
    PRESETS,
    RESERVED,
    Break,
    Event,
    Registry,
    event,
    on_topic,
    union,
    unreadable,
)
from tapehouse_operator.emit.feed import FeedNames
from tapehouse_operator.emit.platform import Platform
from tapehouse_operator.emit.strimzi import Topic
from tapehouse_operator.errors import SpecError

T = TypeVar("T")


def events_of(feed: TradeFeed) -> tuple[Event, ...]:
    """The declared events, each with its topic.

    Raises:
        SpecError: the preset or an event of `spec.topics` is unknown.
    """
    spec = feed.spec
    named = {topic.event: topic.name for topic in spec.topics}
    if spec.preset is None:
        return tuple(
            event(
                declared.model_dump(by_alias=True, exclude_defaults=True, mode="json"),
                named.get(declared.name) or _default_topic(feed, declared.name),
            )
            for declared in spec.events
        )
    preset = PRESETS.get(spec.preset)
    if preset is None:
        remedy = f"the shipped presets are {', '.join(sorted(PRESETS))}"
        raise SpecError(Reason.UNKNOWN_PRESET, "spec.preset", spec.preset, remedy)
    _check_topic_events(spec.topics, [e.name for e in preset], spec.preset)
    return tuple(e.to(named.get(e.name, e.topic)) for e in preset)


DEAD_LETTER_BYTES = 16 * 1024**2
"""What is too large for a topic of events must still fit among the dead letters, whole."""


def dead_letter_topic(feed: TradeFeed) -> str:
    """Where frames go that cannot be taken."""
    return feed.spec.dead_letter.topic or FeedNames(feed.metadata.name).dead_letters


def topics_of(
    feed: TradeFeed, events: Sequence[Event], platform: Platform, live: Mapping[str, int]
) -> tuple[Topic, ...]:
    """Every topic once: those of events, dead letters, the cursor.

    Args:
        feed: the resource.
        events: its events.
        platform: the environment, for what the feed does not say.
        live: how many partitions topics have now; they never shrink.

    Raises:
        SpecError: one topic is to be two things, or to have fewer partitions than it has.
    """
    names = dict.fromkeys(e.topic for e in events)
    dead_letters, cursor = dead_letter_topic(feed), FeedNames(feed.metadata.name).cursor
    for special in (dead_letters, cursor):
        if special in names:
            remedy = "this topic holds no events; name another one for them"
            raise SpecError(Reason.INVALID, "spec.topics", special, remedy)
    kept = feed.spec.dead_letter.retention
    copies = (platform.topic_replicas, platform.min_insync_replicas)
    return (
        *(_event_topic(feed, name, platform, live.get(name, 0)) for name in names),
        Topic(
            dead_letters,
            max(platform.dead_letter_partitions, live.get(dead_letters, 0)),
            *copies,
            retention=duration(kept) if kept else platform.dead_letter_retention,
            max_message_bytes=DEAD_LETTER_BYTES,
        ),
        Topic(cursor, 1, *copies, cleanup="compact"),
    )


def check_events(feed: TradeFeed, events: Sequence[Event]) -> None:
    """Names, types and rules that every part of the pipeline can work with.

    Raises:
        SpecError: with the field at fault.
    """
    for place, each in enumerate(events):
        path = f"spec.events[{place}]"
        _check_fields(each, path)
        check_rules(each, path)
    for topic in dict.fromkeys(e.topic for e in events):
        try:
            union(on_topic(events, topic))
        except ValueError as error:
            where = "spec.events" if feed.spec.events else "spec.topics"
            raise SpecError(Reason.INVALID_TYPE, where, topic, str(error)) from error


def check_source(feed: TradeFeed) -> None:
    """What the CRD cannot check of a source: columns of files are named once.

    Raises:
        SpecError: with the column at fault.
    """
    files = feed.spec.source.files
    columns = files.columns if files else ()
    for index, name in enumerate(columns):
        if name in columns[:index]:
            path = f"spec.source.files.columns[{index}]"
            raise SpecError(Reason.INVALID, path, name, "this name is taken; give another one")


def check_mapping(feed: TradeFeed, events: Sequence[Event]) -> None:
    """Foreign frames become events that exist, with all that these require.

    Raises:
        SpecError: with the mapping and the field at fault.
    """
    number = feed.spec.continuity.sequence_field
    if "." in number and not feed.spec.mapping:
        remedy = "only mapped frames have paths; name a member of the frame, or declare a mapping"
        raise SpecError(Reason.INVALID, "spec.continuity.sequenceField", number, remedy)
    by_name = {event.name: event for event in events}
    for place, mapping in enumerate(feed.spec.mapping):
        path = f"spec.mapping[{place}]"
        event = by_name.get(mapping.event)
        if event is None:
            remedy = f"the events of this feed are {', '.join(by_name)}"
            raise SpecError(Reason.UNKNOWN_EVENT, f"{path}.event", mapping.event, remedy)
        names = [f.name for f in event.fields]
        for name in mapping.fields:
            if name not in names:
                remedy = f"the fields of event {event.name} are {', '.join(names)}"
                raise SpecError(Reason.UNKNOWN_COLUMN, f"{path}.fields", name, remedy)
        for f in event.fields:
            if f.required and f.name not in mapping.fields:
                remedy = f"event {event.name} requires {f.name}; say where its value comes from"
                raise SpecError(Reason.MISSING_FIELD, f"{path}.fields", f.name, remedy)


def check_compatibility(
    feed: TradeFeed,
    events: Sequence[Event],
    known: Registry,
    consumers: Callable[[str], Consumers],
) -> None:
    """Whether the promise of `spec.schema.compatibility` is kept towards the newest versions.

    `consumers` is asked only for who reads something that goes or changes, by its name.

    Raises:
        SpecError: with the event, the field that breaks it, and who reads that.
    """
    name = feed.metadata.name
    declared = {now.name for now in events}
    for gone in (was for was in known.current if was.name not in declared):
        _check_unread(feed, gone, event_readers(name, gone.name, consumers(gone.name)))
    promise = feed.spec.schema_.compatibility
    for place, now in enumerate(events):
        was = known.latest(now.name)
        if was is None:
            continue
        broken = _broken(was, now, promise)
        if broken is not None:
            where = f"spec.events[{place}].fields" if feed.spec.events else "spec.preset"
            who = readers(Source("TradeFeed", name), broken.field, consumers(broken.field))
            remedy = (
                f"field {broken.field} of event {now.name} {broken.problem}, which breaks "
                f"{promise.value} compatibility{_read_by(who)}; keep it, or declare a new event"
            )
            raise SpecError(Reason.INCOMPATIBLE_SCHEMA, where, broken.field, remedy)


def _check_unread(feed: TradeFeed, event: Event, who: Sequence[str]) -> None:
    if who:
        where = "spec.events" if feed.spec.events else "spec.preset"
        remedy = f"the event is no longer declared{_read_by(who)}; keep it, or change these first"
        raise SpecError(Reason.INCOMPATIBLE_SCHEMA, where, event.name, remedy)


def _read_by(who: Sequence[str]) -> str:
    return f"; it is read by {', '.join(who)}" if who else ""


def _broken(was: Event, now: Event, promise: Compatibility) -> Break | None:
    backward = promise in (Compatibility.BACKWARD, Compatibility.FULL)
    forward = promise in (Compatibility.FORWARD, Compatibility.FULL)
    found = unreadable(was, now) if backward else None
    if found is None and forward:
        found = lost(was, now)
    return found


def lost(was: Event, now: Event) -> Break | None:
    """Why a reader that knows `was` cannot read what is written as `now`, if so."""
    there = {f.name: f for f in now.fields}
    for old in was.fields:
        new = there.get(old.name)
        if new is None:
            if old.required:
                return Break(old.name, "is gone, but readers of the old version require it")
        elif new.type != old.type:
            return Break(old.name, f"changes from {old.type} to {new.type}")
        elif old.required and not new.required:
            return Break(old.name, "becomes optional, but readers of the old version require it")
    return None


def _check_topic_events(topics: Sequence[FeedTopic], known: Sequence[str], preset: str) -> None:
    for place, topic in enumerate(topics):
        if topic.event not in known:
            remedy = f"the events of preset {preset} are {', '.join(known)}"
            raise SpecError(
                Reason.UNKNOWN_EVENT, f"spec.topics[{place}].event", topic.event, remedy
            )


def _default_topic(feed: TradeFeed, name: str) -> str:
    return f"{feed.metadata.name}.{name.lower().replace('_', '-')}"


def _event_topic(feed: TradeFeed, name: str, platform: Platform, live: int) -> Topic:
    wishes = [t for t in feed.spec.topics if t.name == name]
    partitions = _agreed(name, "partitions", [t.partitions for t in wishes])
    if partitions is not None and partitions < live:
        remedy = f"topic {name} has {live} partitions, which never shrink; say {live} or more"
        raise SpecError(Reason.IMMUTABLE, "spec.topics", partitions, remedy)
    retention = _agreed(name, "retention", [t.retention for t in wishes])
    cleanup = _agreed(name, "cleanup", [t.cleanup for t in wishes])
    return Topic(
        name=name,
        partitions=max(partitions or platform.topic_partitions, live),
        replicas=_agreed(name, "replicas", [t.replicas for t in wishes]) or platform.topic_replicas,
        min_insync_replicas=platform.min_insync_replicas,
        retention=duration(retention) if retention else platform.topic_retention,
        cleanup=cleanup.value if cleanup else "delete",
    )


def _agreed(topic: str, setting: str, wishes: Sequence[T | None]) -> T | None:
    """What all who say something about a shared topic say."""
    said = list(dict.fromkeys(wish for wish in wishes if wish is not None))
    if len(said) > 1:
        remedy = f"events that share topic {topic} must agree on its {setting}"
        raise SpecError(Reason.INVALID, "spec.topics", [str(s) for s in said], remedy)
    return said[0] if said else None


def _check_fields(each: Event, path: str) -> None:
    for place, f in enumerate(each.fields):
        at = f"{path}.fields[{place}]"
        if f.name in RESERVED:
            remedy = f"every input offers {', '.join(RESERVED)} already; name the field otherwise"
            raise SpecError(Reason.INVALID, f"{at}.name", f.name, remedy)
        if is_reserved(f.name):
            remedy = "begin with at most one underscore"
            raise SpecError(Reason.INVALID, f"{at}.name", f.name, remedy)
        if f.name == each.event_time and f.type != "timestamptz":
            remedy = "the field of eventTime must be a timestamptz"
            raise SpecError(Reason.INVALID_TYPE, f"{at}.type", f.type, remedy)
