"""What silver and gold mean, as SQL over the recorded trades: one definition each, from the trades
themselves, and nothing of how the platform computes them.

`trade` has the fields of the event, `ts`, `cents` (prices are whole cents: sums are exact) and
`arrival`; `dim` has the versions of every instrument, `since` to before `until`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa


class Definition(NamedTuple):
    """One table: its identifier, its key, and what its rows are."""

    identifier: str
    key: tuple[str, ...]
    sql: str


_AS_OF = """dim.symbol = trade.symbol AND trade.ts >= dim.since
         AND (dim.until IS NULL OR trade.ts < dim.until)"""
_DAY = "CAST(epoch_us(ts) // 86_400_000_000 AS INTEGER)"
"""Days since 1970: the tables' dates, without any time zone."""

SILVER = Definition(
    "silver.trades",
    ("trade_id",),
    f"""
    SELECT trade.trade_id, trade.symbol, price, quantity, price * quantity AS value, buy_order_id,
           sell_order_id, buyer_agent_id, seller_agent_id, is_aggressive_buy,
           epoch_us(ts) AS timestamp, company_name, sector, market_cap_category
    FROM trade LEFT JOIN dim ON {_AS_OF}
    """,
)

BOOKS = Definition(
    "silver.orderbook",
    ("event_id",),
    """
    WITH sides AS (
        SELECT event_id, epoch_us(timestamp) AS timestamp,
               list_max([l.price FOR l IN bids]) AS best_bid_price,
               list_min([l.price FOR l IN asks]) AS best_ask_price,
               coalesce(list_sum([l.quantity FOR l IN bids]), 0)::BIGINT AS bid_depth,
               coalesce(list_sum([l.quantity FOR l IN asks]), 0)::BIGINT AS ask_depth
        FROM book
    )
    SELECT *, best_ask_price - best_bid_price AS spread,
           (best_ask_price + best_bid_price) / 2 AS mid_price,
           (bid_depth - ask_depth) / nullif(bid_depth + ask_depth, 0) AS imbalance
    FROM sides
    """,
)

CANDLES = Definition(
    "gold.candles",
    ("symbol", "interval", "window_start"),
    """
    WITH length(interval, seconds, origin) AS (
        VALUES ('1m', 60, 0), ('5m', 300, 0), ('15m', 900, 0), ('30m', 1800, 0), ('1h', 3600, 0),
               ('4h', 14400, 0), ('1d', 86400, 0), ('1w', 604800, 4 * 86400)
    )
    SELECT symbol, interval,
           (((epoch_us(ts) // 1_000_000 - origin) // seconds) * seconds + origin) * 1_000_000
               AS window_start,
           first(price ORDER BY ts, arrival) AS open_price, max(price) AS high_price,
           min(price) AS low_price, last(price ORDER BY ts, arrival) AS close_price,
           sum(quantity)::BIGINT AS total_volume, sum(cents * quantity) / 100 AS total_value,
           count(*) AS trade_count, sum(cents * quantity) / 100 / sum(quantity) AS vwap
    FROM trade, length
    GROUP BY ALL
    """,
)

DAILY = Definition(
    "gold.daily_summary",
    ("symbol", "trading_date"),
    f"""
    WITH days AS (
        SELECT symbol, {_DAY} AS trading_date,
               first(price ORDER BY ts, arrival) AS open_price,
               last(price ORDER BY ts, arrival) AS close_price,
               max(price) AS high_price, min(price) AS low_price,
               sum(quantity)::BIGINT AS total_volume, count(*) AS trade_count,
               sum(cents * quantity) / 100 AS total_value
        FROM trade GROUP BY ALL
    )
    SELECT days.*, total_value / total_volume AS vwap, high_price - low_price AS price_range,
           close_price - open_price AS price_change,
           (close_price / open_price - 1) * 100 AS price_change_pct, company_name, sector
    FROM days LEFT JOIN dim
      ON dim.symbol = days.symbol
     AND epoch_us(since) < (trading_date + 1) * 86_400_000_000
     AND (until IS NULL OR epoch_us(until) >= (trading_date + 1) * 86_400_000_000)
    """,
)

PROFILE = Definition(
    "gold.volume_profile",
    ("symbol", "trading_date", "bucket_low"),
    f"""
    WITH bucketed AS (
        SELECT *, CASE WHEN cents >= 100_000 THEN 1000 WHEN cents >= 10_000 THEN 100
                       WHEN cents >= 1_000 THEN 10 ELSE 1 END AS width
        FROM trade
    )
    SELECT symbol, {_DAY} AS trading_date, cents // width * width / 100 AS bucket_low,
           width / 100 AS bucket_width, count(*) AS trade_count,
           sum(quantity)::BIGINT AS total_volume,
           sum(CASE WHEN is_aggressive_buy THEN quantity ELSE 0 END)::BIGINT AS buy_volume,
           sum(cents * quantity) / 100 AS total_value
    FROM bucketed GROUP BY ALL
    """,
)

SECTORS = Definition(
    "gold.sector_daily",
    ("sector", "trading_date"),
    f"""
    WITH instrument AS (
        SELECT coalesce(sector, 'Unknown') AS sector, {_DAY} AS trading_date, trade.symbol,
               first(cents ORDER BY ts, arrival) AS opened,
               last(cents ORDER BY ts, arrival) AS closed,
               count(*) AS n, sum(quantity) AS shares, sum(cents * quantity) AS worth
        FROM trade LEFT JOIN dim ON {_AS_OF}
        GROUP BY ALL
    )
    SELECT sector, trading_date, count(*) AS symbols,
           count(*) FILTER (closed > opened) AS advancing,
           count(*) FILTER (closed < opened) AS declining, sum(n)::BIGINT AS trade_count,
           sum(shares)::BIGINT AS total_volume, sum(worth) / 100 AS total_value,
           sum(worth) / 100 / sum(shares) AS vwap
    FROM instrument GROUP BY ALL
    """,
)

_SIDE = f"""
    side AS (
        SELECT buyer_agent_id AS agent_id, is_aggressive_buy AS aggressor, quantity AS net,
               seller_agent_id AS counterparty, {_DAY} AS trading_date, *
        FROM trade
        UNION ALL
        SELECT seller_agent_id, NOT is_aggressive_buy, -quantity, buyer_agent_id, {_DAY}, *
        FROM trade
    )"""

ACTIVITY = Definition(
    "gold.trader_activity",
    ("agent_id", "symbol", "trading_date"),
    f"""
    WITH {_SIDE}, closing AS (
        SELECT symbol, trading_date, last(cents ORDER BY ts, arrival) AS cents_then
        FROM side GROUP BY ALL
    )
    SELECT agent_id, symbol, trading_date, count(*) AS trade_count,
           count(*) FILTER (aggressor) AS aggressive_count,
           sum(greatest(net, 0))::BIGINT AS bought_quantity,
           sum(greatest(-net, 0))::BIGINT AS sold_quantity,
           sum(greatest(net, 0) * cents) / 100 AS bought_value,
           sum(greatest(-net, 0) * cents) / 100 AS sold_value,
           sum(net)::BIGINT AS net_quantity, sum(quantity * cents) / 100 AS notional,
           any_value(cents_then) / 100 AS close_price,
           sum(net * (cents_then - cents)) / 100 AS pnl
    FROM side JOIN closing USING (symbol, trading_date)
    GROUP BY agent_id, symbol, trading_date
    """,
)

POSITIONS = Definition(
    "gold.positions",
    ("agent_id", "symbol"),
    f"""
    WITH {_SIDE}, newest AS (
        SELECT symbol, last(cents ORDER BY ts, arrival) AS cents_now FROM trade GROUP BY ALL
    )
    SELECT agent_id, symbol, sum(net)::BIGINT AS quantity,
           sum(greatest(net, 0))::BIGINT AS bought_quantity,
           sum(greatest(-net, 0))::BIGINT AS sold_quantity,
           sum(greatest(net, 0) * cents) / 100 / nullif(sum(greatest(net, 0)), 0)
               AS average_buy_price,
           sum(greatest(-net, 0) * cents) / 100 / nullif(sum(greatest(-net, 0)), 0)
               AS average_sell_price,
           any_value(cents_now) / 100 AS last_price,
           sum(net * cents_now) / 100 AS market_value,
           sum(net * (cents_now - cents)) / 100 AS pnl,
           min(trading_date) AS first_traded, max(trading_date) AS last_traded
    FROM side JOIN newest USING (symbol)
    GROUP BY agent_id, symbol
    """,
)

RISK = Definition(
    "gold.risk",
    ("agent_id", "symbol", "trading_date"),
    f"""
    WITH {_SIDE}, total AS (
        SELECT agent_id, symbol, trading_date, sum(quantity) AS shares,
               sum(quantity * cents) AS worth,
               (count(*) FILTER (agent_id = counterparty)) // 2 AS self_trades,
               sum(CASE WHEN agent_id = counterparty THEN quantity ELSE 0 END) // 2 AS self_shares
        FROM side GROUP BY ALL
    ), crowd AS (
        SELECT symbol, trading_date, avg(shares) AS mean, sum(shares) AS shares_of_all,
               sqrt(avg(shares * shares) - avg(shares) * avg(shares)) AS deviation
        FROM total GROUP BY ALL
    ), purse AS (
        SELECT agent_id, trading_date, sum(worth) AS worth_of_all FROM total GROUP BY ALL
    ), trip AS (
        SELECT there.agent_id, there.symbol, there.trading_date, count(*) AS trips,
               sum(there.quantity) AS shares
        FROM side AS there JOIN side AS back
          ON back.agent_id = there.agent_id AND back.counterparty = there.counterparty
         AND back.symbol = there.symbol AND back.trading_date = there.trading_date
         AND back.net = -there.net AND there.agent_id <> there.counterparty
         AND epoch_us(back.ts) - epoch_us(there.ts) BETWEEN 0 AND 60_000_000
         AND (back.ts > there.ts OR back.trade_id > there.trade_id)
        GROUP BY ALL
    )
    SELECT agent_id, symbol, trading_date, total.shares::BIGINT AS quantity,
           worth / 100 AS notional, total.shares / shares_of_all AS share_of_symbol,
           worth / worth_of_all AS share_of_agent,
           (total.shares - mean) / nullif(deviation, 0) AS z_score, self_trades,
           self_shares::BIGINT AS self_quantity, coalesce(trips, 0) AS round_trips,
           coalesce(trip.shares, 0)::BIGINT AS round_trip_quantity
    FROM total JOIN crowd USING (symbol, trading_date) JOIN purse USING (agent_id, trading_date)
    LEFT JOIN trip USING (agent_id, symbol, trading_date)
    """,
)

GOLD = (CANDLES, DAILY, PROFILE, SECTORS, ACTIVITY, POSITIONS, RISK)

Rows = dict[tuple[Any, ...], dict[str, Any]]


class Recomputed:
    """The definitions over one recording."""

    def __init__(
        self,
        trades: Sequence[Mapping[str, Any]],
        versions: Sequence[Mapping[str, Any]],
        books: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._database = duckdb.connect()
        self._database.execute("SET TimeZone = 'UTC'")
        for name, rows in (("trades", trades), ("dim", versions), ("books", books)):
            if rows:
                self._database.register(f"{name}_given", pa.Table.from_pylist(list(rows)))
        self._database.execute(
            """
            CREATE TABLE trade AS
                SELECT *, timestamp::TIMESTAMPTZ AS ts, round(price * 100)::HUGEINT AS cents
                FROM trades_given;
            CREATE TABLE dim AS FROM dim_given;
            """
        )
        if books:
            self._database.execute(
                "CREATE TABLE book AS "
                "SELECT * REPLACE (timestamp::TIMESTAMPTZ AS timestamp) FROM books_given"
            )

    def rows(self, definition: Definition) -> Rows:
        """What the table should hold, by key."""
        return keyed(self._database.sql(definition.sql).to_arrow_table(), definition)

    def differences(self, definition: Definition, found: pa.Table) -> list[str]:
        """Rows and values that are not as they should be; integers exactly, floats to 1e-9."""
        wanted, there = self.rows(definition), keyed(plain(found), definition)
        said = [f"missing: {key}" for key in sorted(wanted.keys() - there.keys(), key=repr)]
        said += [f"unexpected: {key}" for key in sorted(there.keys() - wanted.keys(), key=repr)]
        if found.num_rows != len(there):
            said.append(f"{found.num_rows} rows of {len(there)} keys")
        for key in wanted.keys() & there.keys():
            for column, value in wanted[key].items():
                if not same(value, there[key][column]):
                    said.append(f"{key} {column}: {value!r} is {there[key][column]!r}")
        return [f"{definition.identifier} {each}" for each in said]


def keyed(table: pa.Table, definition: Definition) -> Rows:
    return {tuple(_key(row[c]) for c in definition.key): row for row in table.to_pylist()}


def _key(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value


def plain(table: pa.Table) -> pa.Table:
    """Times as microseconds and dates as days since 1970."""
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(index, field.name, table[field.name].cast("int64"))
        if pa.types.is_date(field.type):
            table = table.set_column(index, field.name, table[field.name].cast("int32"))
    return table


def same(one: Any, other: Any) -> bool:
    """Equal, or floats that differ by 1e-9 of themselves or a millionth of a dollar at most."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= max(1e-9 * abs(one), 1e-6)
    return bool(one == other)
