"""The rules of alerts, trade by trade, in plain Python."""

import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

Alert = dict[str, Any]
SECOND, MINUTE = 1_000, 60_000
"""In milliseconds, which is how exactly alerts know the time."""
GRADES = ((10.0, "CRITICAL"), (5.0, "HIGH"), (2.0, "MEDIUM"))
"""Percent of the baseline."""


def movements(trades: Iterable[dict[str, Any]]) -> list[Alert]:
    """Against a baseline that is set again after 300 s; 60 s of quiet after an alert."""
    baselines: dict[str, tuple[float, int]] = {}
    quiet: dict[str, int] = {}
    found = []
    for trade in trades:
        symbol, price, now = trade["symbol"], trade["price"], millis(trade["timestamp"])
        base = baselines.get(symbol)
        if base is None or now - base[1] >= 300 * SECOND:
            baselines[symbol] = price, now
            continue
        change = (price - base[0]) / base[0] * 100
        if abs(change) < 2 or now < base[1] or now < quiet.get(symbol, 0):
            continue
        quiet[symbol] = now + 60 * SECOND
        threshold, severity = next(each for each in GRADES if abs(change) >= each[0])
        direction = "UP" if change > 0 else "DOWN"
        how = f"{direction.lower()} {round(abs(change), 2)} % to {price} from {base[0]}"
        found.append(
            {
                **_named(symbol, "PRICE_MOVEMENT", now),
                "severity": severity,
                "direction": direction,
                "price": price,
                "baseline_price": base[0],
                "pct_change": change,
                "threshold": threshold,
                "message": f"{symbol} {how}",
            }
        )
    return found


def anomalies(trades: Iterable[dict[str, Any]]) -> list[Alert]:
    """Minutes of 3 standard deviations above the half hour before, if that had five minutes."""
    volumes: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for trade in trades:
        volumes[trade["symbol"]][millis(trade["timestamp"]) // MINUTE] += trade["quantity"]
    found = []
    for symbol, minutes in volumes.items():
        for minute, volume in minutes.items():
            before = [minutes[m] for m in range(minute - 30, minute) if m in minutes]
            if len(before) < 5 or len(set(before)) == 1:
                continue
            mean = math.fsum(before) / len(before)
            deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in before) / len(before))
            score = (volume - mean) / deviation
            if score < 3:
                continue
            grade = "CRITICAL" if score >= 10 else "HIGH" if score >= 5 else "MEDIUM"
            how = f"{round(score, 1)} standard deviations above the half hour before"
            found.append(
                {
                    **_named(symbol, "VOLUME_ANOMALY", (minute + 1) * MINUTE - 1),
                    "severity": grade,
                    "direction": "UP",
                    "volume": volume,
                    "z_score": score,
                    "threshold": 3.0,
                    "message": f"{symbol}: {volume} shares in a minute, {how}",
                }
            )
    return found


def millis(text: str) -> int:
    """A time, cut to milliseconds since 1970."""
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000) // 1000


def _named(symbol: str, kind: str, at: int) -> Alert:
    time = datetime.fromtimestamp(at / 1000, UTC).isoformat(" ", "milliseconds")[:23] + "000"
    return {
        "alert_id": f"{symbol}/{kind}/{time}",
        "symbol": symbol,
        "alert_type": kind,
        "triggered_at": time.replace(" ", "T") + "Z",
    }
