"""Generated DDL: types, time, the password's place."""

from datetime import timedelta

import pytest
from tapehouse_contracts.types import parse_type
from tapehouse_operator.emit.ddl import Clock, Input, flink_type, input_ddl, interval
from tapehouse_operator.emit.events import PRESETS, Event, Field, on_topic
from tapehouse_operator.emit.platform import KafkaAccess

CLOCK = Clock(timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=1))
KAFKA = KafkaAccess("127.0.0.1:9092", "land-job").java()


def ddl(*events: Event, filtered: bool = False, clock: Clock = CLOCK) -> tuple[str, ...]:
    return input_ddl(Input("t", events[0].topic, events, filtered), clock, KAFKA, "land")


@pytest.mark.parametrize(
    ("type_", "sql"),
    [
        ("int", "INT"),
        ("long", "BIGINT"),
        ("float", "FLOAT"),
        ("double", "DOUBLE"),
        ("boolean", "BOOLEAN"),
        ("string", "STRING"),
        ("uuid", "STRING"),
        ("date", "DATE"),
        ("time", "TIME"),
        ("timestamp", "TIMESTAMP(6)"),
        ("timestamptz", "TIMESTAMP_LTZ(6)"),
        ("binary", "BYTES"),
        ("decimal(18,4)", "DECIMAL(18, 4)"),
        ("list<string>", "ARRAY<STRING>"),
        ("map<string, long>", "MAP<STRING, BIGINT>"),
        (
            "list<struct<price: double, n: int>>",
            "ARRAY<ROW<`price` DOUBLE, `n` INT>>",
        ),
    ],
)
def test_types(type_: str, sql: str) -> None:
    assert flink_type(parse_type(type_)) == sql


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(seconds=5), "'0 00:00:05.000'"),
        (timedelta(milliseconds=250), "'0 00:00:00.250'"),
        (timedelta(days=2, hours=3, minutes=4, seconds=5), "'2 03:04:05.000'"),
    ],
)
def test_intervals(length: timedelta, text: str) -> None:
    assert interval(length) == f"INTERVAL {text} DAY(3) TO SECOND(3)"


def test_the_password_is_named_and_never_there() -> None:
    text, _ = ddl(PRESETS["market/v1"][0])
    assert 'password="${env:KAFKA_PASSWORD}"' in text
    assert "'properties.config.providers' = 'env'" in text
    assert "'properties.group.id' = 'land'" in text
    assert "'scan.startup.mode' = 'earliest-offset'" in text


def test_an_event_from_the_future_is_capped_for_the_watermark() -> None:
    text, _ = ddl(PRESETS["market/v1"][0])
    cap = "`ingested_at` + INTERVAL '0 00:01:00.000' DAY(3) TO SECOND(3)"
    assert f"WHEN `timestamp` > {cap} THEN {cap}" in text
    assert "WHEN `timestamp` IS NULL THEN `ingested_at`" in text


def test_an_event_without_time_has_that_of_its_arrival() -> None:
    text, _ = ddl(Event("E", "t", "k", None, (Field("k", "string"),)))
    assert "CASE WHEN CAST(NULL AS TIMESTAMP_LTZ(6)) IS NULL THEN `ingested_at`" in text


def test_events_of_one_topic_may_have_times_of_different_names() -> None:
    a = Event("A", "t", "k", "x", (Field("k", "string"), Field("x", "timestamptz")))
    b = Event("B", "t", "k", "y", (Field("k", "string"), Field("y", "timestamptz")))
    text, _ = ddl(a, b)
    assert "WHEN 'A' THEN `x` WHEN 'B' THEN `y` END" in text


def test_what_is_no_event_moves_no_watermark_and_is_not_seen() -> None:
    table, view = ddl(PRESETS["market/v1"][0])
    assert (
        "WATERMARK FOR `event_time` AS CASE WHEN `$reason` IS NULL AND `timestamp` IS NOT" in table
    )
    assert "'format' = 'tapehouse-json'" in table
    assert view.endswith("WHERE `$whole`")
    assert "$" not in view.partition("FROM")[0]


def test_what_an_event_requires_depends_on_what_it_claims_to_be() -> None:
    (table, _) = ddl(*on_topic(PRESETS["market/v1"], "raw.orders"))
    whole = next(line for line in table.splitlines() if "`$whole`" in line)
    has = "`$reason` IS NULL AND `event_id` IS NOT NULL AND `timestamp` IS NOT NULL"
    assert f"WHEN 'OrderPlaced' THEN {has}" in whole
    assert f"WHEN 'OrderCancelled' THEN {has}" in whole
    assert whole.endswith("ELSE FALSE END,")


def test_one_event_of_a_shared_topic_is_a_view_with_its_fields_only() -> None:
    placed = on_topic(PRESETS["market/v1"], "raw.orders")[0]
    table, view = ddl(placed, filtered=True)
    assert table.startswith("CREATE TEMPORARY TABLE `t__topic`")
    assert view.startswith("CREATE TEMPORARY VIEW `t` AS SELECT")
    assert view.endswith("WHERE `$whole` AND `event_type` IN ('OrderPlaced')")
    assert "remaining_quantity" not in table + view


def test_without_idleness_a_silent_partition_holds_the_watermark() -> None:
    text, _ = ddl(PRESETS["market/v1"][0], clock=Clock(timedelta(0), None, timedelta(seconds=1)))
    assert "idle-timeout" not in text


@pytest.mark.parametrize(("headers", "unique"), [(True, ()), (True, ("event_id",)), (False, ())])
def test_all_headers_are_read_where_somebody_wants_them(
    headers: bool, unique: tuple[str, ...]
) -> None:
    trade = on_topic(PRESETS["market/v1"], "raw.trades")
    wanted = Input("t", "raw.trades", trade, filtered=False, unique=unique, headers=headers)
    texts = input_ddl(wanted, CLOCK, KAFKA, "land")
    assert ["kafka_headers" in text for text in texts] == [headers and not unique] * 2
