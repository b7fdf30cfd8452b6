"""`tapehouse demo`: the platform, and a question to it."""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tapehouse_laptop.errors import LaptopError
from tapehouse_laptop.repository import crd_directory

PATIENCE = 120.0
PAUSE = 1.0
ANY_SYMBOL = "{ trades(first: 1) { edges { node { symbol } } } }"
CANDLES = """query ($symbol: String!) {
  minuteCandles(symbol: $symbol, first: 3) {
    edges { node { timestamp openPrice highPrice lowPrice closePrice totalVolume tradeCount } }
  }
}"""


def directory() -> Path:
    """`environments/local` of the checkout.

    Raises:
        LaptopError: it is not found.
    """
    found = crd_directory().parent / "environments" / "local"
    if not found.is_dir():
        raise LaptopError(f"{found} is missing: run in a checkout of Tapehouse")
    return found


def candles(graphql: str) -> dict[str, Any]:
    """An answer with candles, as soon as there is one.

    Raises:
        LaptopError: there was none in two minutes; the message has the last answer.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        trades = _edges(ask(graphql, ANY_SYMBOL), "trades")
        if trades:
            answer = ask(graphql, CANDLES, symbol=trades[0]["node"]["symbol"])
            if _edges(answer, "minuteCandles"):
                return answer
        if time.monotonic() > deadline:
            raise LaptopError(f"no candles after {PATIENCE:.0f} s; {graphql} says {trades}")
        time.sleep(PAUSE)


def ask(graphql: str, query: str, **variables: str) -> dict[str, Any]:
    """One GraphQL request; an unreachable server is an answer with an error."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(graphql, body, headers)  # noqa: S310 - http of our own
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            answer: dict[str, Any] = json.load(response)
            return answer
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        return {"errors": [{"message": str(error)}]}


def _edges(answer: dict[str, Any], field: str) -> list[dict[str, Any]]:
    return ((answer.get("data") or {}).get(field) or {}).get("edges") or []
