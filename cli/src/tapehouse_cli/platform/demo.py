"""`tapehouse demo`: the platform, and a question to it."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tapehouse_laptop.errors import LaptopError
from tapehouse_laptop.net import Net
from tapehouse_laptop.repository import crd_directory
from tapehouse_laptop.state import State
from tapehouse_laptop.supervisor import Installation

from tapehouse_cli.platform.endpoints import graphql_url
from tapehouse_cli.platform.timeline import Timeline

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


class FirstCandles:
    """Asks for candles from the start until some come, beside everything else, and shows them."""

    def __init__(self, state: State, timeline: Timeline, show: Callable[[str], None]) -> None:
        self._state = state
        self._timeline = timeline
        self._show = show
        self._come = threading.Event()

    def start(self) -> None:
        """Begin to ask; it ends with the program."""
        threading.Thread(target=self._ask, daemon=True).start()

    def wait(self) -> None:
        """Until they have been shown.

        Raises:
            LaptopError: none came in two minutes.
        """
        if not self._come.wait(PATIENCE):
            raise LaptopError(f"no candles after {PATIENCE:.0f} s; `tapehouse status` may say why")

    def _ask(self) -> None:
        while not (found := self._candles()):
            time.sleep(PAUSE)
        self._timeline.mark("demo", "first candles")
        self._show(json.dumps(found))
        self._come.set()

    def _candles(self) -> dict[str, Any]:
        installation = Installation.read(self._state)
        if installation is None or not installation.alive:
            return {}
        graphql = graphql_url(Net.parse(installation.net))
        trades = _edges(ask(graphql, ANY_SYMBOL), "trades")
        answer = ask(graphql, CANDLES, symbol=trades[0]["node"]["symbol"]) if trades else {}
        return answer if _edges(answer, "minuteCandles") else {}


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
