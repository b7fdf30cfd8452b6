"""What a client asks for."""

import json
import urllib.request
from typing import Any

import pytest

from tests.local.conftest import SYMBOLS, TRADES
from tests.local.platform import Platform, eventually

pytestmark = pytest.mark.local


def ask(platform: Platform, query: str, **variables: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        platform.info["graphql"],
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def test_candles_add_up_to_the_trades(platform: Platform) -> None:
    query = """query ($symbol: String!) {
      minuteCandles(symbol: $symbol, interval: "1m", first: 1000) {
        edges { node { symbol totalVolume tradeCount openPrice highPrice lowPrice } } } }"""

    def counted() -> bool:
        answers = [ask(platform, query, symbol=symbol) for symbol in SYMBOLS]
        assert all("errors" not in answer for answer in answers), answers
        candles = [e["node"] for a in answers for e in a["data"]["minuteCandles"]["edges"]]
        assert all(c["lowPrice"] <= c["openPrice"] <= c["highPrice"] for c in candles)
        return sum(c["tradeCount"] for c in candles) == TRADES

    eventually(counted, 180, every=2)


def test_a_malformed_cursor_is_an_error_without_a_stack_trace(platform: Platform) -> None:
    answer = ask(platform, '{ trades(first: 1, after: "nonsense") { edges { cursor } } }')
    assert "cursor" in answer["errors"][0]["message"].lower()
    assert "Traceback" not in json.dumps(answer)


def test_the_page_is_served(platform: Platform) -> None:
    root = platform.info["graphql"].removesuffix("graphql")
    with urllib.request.urlopen(root, timeout=30) as response:
        assert b"<title>" in response.read()
