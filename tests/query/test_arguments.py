"""What is refused, and how: the argument, its value and the remedy; never a stack trace."""

import asyncio
import base64
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapehouse_query import cursor
from tapehouse_query.errors import TooLargeError, TooSlowError
from tapehouse_query.reads import trades
from tapehouse_query.reads.engine import Engine, Session
from tapehouse_query.schema.context import Context, Services

from tests.query import gold
from tests.query.catalog import MemoryCatalog
from tests.query.conftest import Ask

NESTED = "{ trades { edges { node { tradeId } } } }"


@pytest.mark.parametrize(
    ("arguments", "argument", "message"),
    [
        ("first: 0", "first", "first: 0: must be from 1 to 1000"),
        ("first: -5", "first", "first: -5: must be from 1 to 1000"),
        ("first: 1001", "first", "first: 1001: must be from 1 to 1000"),
        ('after: ""', "after", "not a cursor of this list"),
        ('after: "x"', "after", "not a cursor of this list"),
        ('after: "AAAAAAAAAAAA"', "after", "its checksum does not match"),
        ('filter: {symbol: ""}', "symbol", "must be the name of an instrument"),
        ("filter: {symbols: []}", "symbols", "must have from 1 to 100 symbols"),
        ("filter: {minPrice: 5, maxPrice: 4}", "minPrice", "must not be above maxPrice 4.0"),
        ("filter: {minQuantity: 5, maxQuantity: 4}", "minQuantity", "above maxQuantity 4"),
        (
            'filter: {dateRange: {start: "2024-01-02", end: "2024-01-01"}}',
            "dateRange",
            "must not be before start",
        ),
        ('filter: {dateRange: {start: "soon"}}', "filter.dateRange.start", "'soon' is not a time"),
        ("filter: {minPrice: true}", "filter.minPrice", "Float cannot represent"),
        ("filter: {minQuantity: 1.5}", "filter.minQuantity", "1.5 is not a 64-bit integer"),
        ("first: 9999999999", "first", "cannot represent non 32-bit signed integer"),
    ],
)
async def test_refused(ask: Ask, filled: Any, arguments: str, argument: str, message: str) -> None:
    result = await ask.raw(f"{{ trades({arguments}) {{ edges {{ cursor }} }} }}")
    assert message in result.errors[0].message
    assert argument in result.errors[0].message
    assert result.errors[0].extensions["argument"] == argument
    assert result.data is None


async def test_a_fault_of_ours_is_hidden_and_logged(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("secret path /srv/data")

    monkeypatch.setattr(trades, "read", broken)
    with caplog.at_level(logging.ERROR):
        result = await ask.raw(NESTED)
    (error,) = result.errors
    assert "secret" not in error.message
    assert "Traceback" not in str(error.formatted)
    assert error.extensions["code"] == "INTERNAL"
    assert error.extensions["fault"] in caplog.text
    assert "secret path" in caplog.text


async def test_an_answer_too_large_for_memory_says_so(services: Services) -> None:
    engine = Engine(services.engine.lake, memory="1MB")

    def sort(session: Session) -> Any:
        session.many.execute("SET temp_directory = ''")
        return session.many.execute("SELECT i FROM range(9000000) t(i) ORDER BY hash(i)").fetchone()

    with pytest.raises(TooLargeError, match="narrow the date range"):
        await engine.run("sort", sort)
    engine.close()


FIELDS = "node { tradeId symbol price quantity timestamp buyerAgentId } cursor"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "{" + "".join(f"a{i}: trades {{ edges {{ cursor }} }}" for i in range(20)) + "}",
            "aliases",
        ),
        ("{ trades { edges { " + "cursor " * 1200 + "} } }", "token"),
        (
            "{ __schema { types { fields { type { ofType { ofType { ofType { ofType { ofType {"
            " ofType { ofType { name } } } } } } } } } } } }",
            None,
        ),
        (
            "query($n: Int) {"
            + "".join(f"a{i}: trades(first: $n) {{ edges {{ {FIELDS} }} }}" for i in range(9))
            + "}",
            "the limit is 50000",
        ),
        (
            "query($n: Int) {"
            + "".join(f"a{i}: trades(first: $n) {{ ...page }}" for i in range(9))
            + "} fragment page on TradeConnection { edges { "
            + FIELDS
            + " } }",
            "the limit is 50000",
        ),
    ],
    ids=["aliases", "tokens", "introspection", "cost", "cost in a fragment"],
)
async def test_limits(ask: Ask, filled: Any, query: str, message: str | None) -> None:
    result = await ask.raw(query, n=1000)
    if message is None:
        assert not result.errors
    else:
        assert message in result.errors[0].message
        assert result.data is None


TWO = "query a { trades { edges { cursor } } } query b { __typename }"


async def test_of_two_operations_one_must_be_named(ask: Ask, filled: Any) -> None:
    for _ in range(2):  # the second time the validation's outcome is cached
        result = await ask.raw(TWO)
        (error,) = result.errors
        assert result.data is None
        assert "2 operations (a, b)" in error.message
        assert error.extensions["argument"] == "operationName"
    named = await ask.schema.execute(TWO, context_value=Context(ask.services), operation_name="b")
    assert not named.errors
    assert named.data == {"__typename": "Query"}


async def test_a_subscription_beside_a_query_must_be_named(ask: Ask) -> None:
    query = "subscription a { onNewTrade { price } } query b { __typename }"
    events = await ask.schema.stream(query, context_value=None)
    first = [event async for event in events]
    assert first[0].errors[0].message.startswith("the document has 2")


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("0001-01-01", "9999-12-31"),
        ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-12:00"),
    ],
)
async def test_the_first_and_the_last_day_are_times(
    ask: Ask, catalog: MemoryCatalog, filled: Any, start: str, end: str
) -> None:
    """Between them lies everything, whichever list is asked."""
    between = f'dateRange: {{start: "{start}", end: "{end}"}}'
    catalog.create_table("gold.daily_summary", gold.DAILY_SUMMARY)
    catalog.create_table("silver.candle_parts", gold.CANDLE_PARTS)
    trades = await ask(f"{{ trades(filter: {{{between}}}) {{ edges {{ cursor }} }} }}")
    assert trades == await ask("{ trades { edges { cursor } } }")
    for name in ("minuteCandles", "dailySummary"):
        await ask(f'{{ {name}(symbol: "AAPL", {between}) {{ edges {{ cursor }} totalCount }} }}')


@given(st.integers(-(2**63), 2**63 - 1), st.text(max_size=64))
def test_cursors_come_back(time: int, key: str) -> None:
    assert cursor.decode("trades", cursor.encode("trades", (time, key)), (int, str)) == (time, key)


@given(st.data())
def test_a_changed_cursor_is_refused(data: st.DataObject) -> None:
    good = cursor.encode("trades", (1_700_000_000_000_000, "abc"))
    at = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda c: c != good[at]))
    changed = good[:at] + other + good[at + 1 :]
    with pytest.raises(cursor.CursorError):
        cursor.decode("trades", changed, (int, str))


def test_bits_that_mean_nothing_are_a_change_too() -> None:
    good = cursor.encode("trades", (1_700_000_000_000_000, "abc"))
    assert good.endswith("0=")
    with pytest.raises(cursor.CursorError, match="as this server writes it"):
        cursor.decode("trades", good[:-2] + "1=", (int, str))


@given(st.text(max_size=600))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    with pytest.raises(cursor.CursorError):
        cursor.decode("trades", text, (int, str))


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ("###", "it is not base64"),
        ("A" * 513, "it is too long"),
        (base64.b64encode(b"\x02" + bytes(4)).decode(), "its checksum does not match"),
        (cursor.encode("alerts", (1, "x")), "it belongs to another list or other arguments"),
        (cursor.encode("trades", (1,)), "its key has the wrong shape"),
        (cursor.encode("trades", ("1", "x")), "its key has the wrong shape"),
    ],
)
async def test_an_unreadable_cursor_is_refused(
    ask: Ask, filled: Any, after: str, message: str
) -> None:
    query = "query($after: String) { trades(after: $after) { edges { cursor } } }"
    (error,) = (await ask.raw(query, after=after)).errors
    assert f"not a cursor of this list: {message}; take one from its pageInfo" in error.message
    assert error.extensions["argument"] == "after"


async def test_a_read_that_takes_too_long_is_interrupted(services: Services) -> None:
    engine = Engine(services.engine.lake, workers=1, timeout=0.2)
    slow = "SELECT sum(hash(a.range * b.range)) FROM range(1000000) a, range(1000000) b"
    with pytest.raises(TooSlowError, match=r"no answer within 0\.2 s: narrow the date range"):
        await engine.run("slow", lambda session: session.one.execute(slow).fetchall())
    # The only worker is free again: the query has been stopped, not abandoned.
    quick = engine.run("quick", lambda session: session.one.execute("SELECT 7").fetchone())
    engine._timeout = 30
    assert await asyncio.wait_for(quick, 20) == (7,)
    engine.close()
