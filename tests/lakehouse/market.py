"""A seeded market day, and what `refine` would make of it."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from tests.lakehouse import declared

SYMBOLS = {"AAPL": ("Apple", "Tech"), "MSFT": ("Microsoft", "Tech"), "XOM": ("Exxon", "Energy")}
MINUTE = timedelta(minutes=1)


def trades(seed: int, start: datetime, count: int, step: timedelta) -> list[dict]:
    """`count` trades, about `step` apart, many at the very same time, offsets in arrival order."""
    rng, at, made = random.Random(seed), start, []
    for offset in range(count):
        if rng.random() < 0.6:
            at += timedelta(microseconds=rng.randrange(int(2 * step.total_seconds() * 1e6)))
        symbol = rng.choice(list(SYMBOLS))
        company, sector = SYMBOLS[symbol]
        price, quantity = round(rng.uniform(90, 110), 2), rng.randint(1, 10**9)
        made.append(
            {
                "trade_id": f"{seed}-{offset}",
                "symbol": symbol,
                "price": price,
                "quantity": quantity,
                "value": price * quantity,
                "buyer_agent_id": f"agent-{rng.randrange(6)}",
                "seller_agent_id": f"agent-{rng.randrange(6)}",
                "is_aggressive_buy": rng.random() < 0.5,
                "timestamp": at,
                "company_name": company,
                "sector": sector,
                "kafka_partition": 0,
                "kafka_offset": seed * 10**6 + offset,
            }
        )
    return made


def silver(rows: list[dict]) -> pa.Table:
    schema = declared.schema("silver-trades")
    return pa.Table.from_pylist([{n: r.get(n) for n in schema.names} for r in rows], schema)


def parts(rows: list[dict], flush: int = 37) -> pa.Table:
    """Fold every `flush` arrivals by symbol and minute, as 1 s windows of processing time do."""
    made = []
    for begin in range(0, len(rows), flush):
        groups = defaultdict(list)
        for row in rows[begin : begin + flush]:
            minute = row["timestamp"].replace(second=0, microsecond=0)
            groups[row["symbol"], minute].append(row)
        made += [_part(*key, group) for key, group in groups.items()]
    return pa.Table.from_pylist(made, declared.schema("silver-candle-parts"))


def _part(symbol, minute, rows):
    rows = sorted(rows, key=lambda r: (r["timestamp"], r["kafka_offset"]))
    first, last = rows[0], rows[-1]
    return {
        "symbol": symbol,
        "minute": minute,
        "first_price": first["price"],
        "first_time": first["timestamp"],
        "first_offset": first["kafka_offset"],
        "last_price": last["price"],
        "last_time": last["timestamp"],
        "last_offset": last["kafka_offset"],
        "high": max(r["price"] for r in rows),
        "low": min(r["price"] for r in rows),
        "volume": sum(r["quantity"] for r in rows),
        "value": sum(r["value"] for r in rows),
        "trade_count": len(rows),
    }


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)
