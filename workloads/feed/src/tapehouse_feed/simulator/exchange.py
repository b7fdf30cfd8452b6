"""What the exchange says: event n is a function of (seed, symbols, n) alone.

Events come in blocks of 1,000. A block has its own random numbers and its own order book, which
opens around a fair price known for every block (`prices`), so that any event can be had for the
price of its block. Every block holds exactly 300 trades.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice

import msgspec

from tapehouse_feed.simulator.block import BLOCK, TRADES, Block, SimulatedEvent


class Trade(msgspec.Struct, frozen=True):
    """A trade without its time, which is the moment of sending."""

    sequence: int
    event_id: str
    trade_id: str
    symbol: str
    price: float
    quantity: int
    buy_order_id: str
    sell_order_id: str
    buyer_agent_id: str
    seller_agent_id: str
    is_aggressive_buy: bool


class Exchange:
    """All events of one (seed, symbols), from number 1 on."""

    def __init__(self, seed: int, symbols: Sequence[str]) -> None:
        self.seed = seed
        self.symbols = tuple(dict.fromkeys(symbols))
        self.block = lru_cache(maxsize=4)(self._block)
        """The 1,000 events of a block, from 0."""

    def event(self, sequence: int) -> SimulatedEvent:
        """Event `sequence`, from 1."""
        block, index = divmod(sequence - 1, BLOCK)
        return self.block(block)[index]

    def events(self, first: int = 1) -> Iterator[SimulatedEvent]:
        """All events from `first` on, without end."""
        block, index = divmod(first - 1, BLOCK)
        while True:
            yield from self.block(block)[index:]
            block, index = block + 1, 0

    def last_of(self, trades: int) -> int:
        """The sequence number of trade number `trades`, from 1."""
        block, index = divmod(trades - 1, TRADES)
        found = [e.sequence for e in self.block(block) if e.event_type == "TradeExecuted"]
        return found[index]

    def _block(self, block: int) -> tuple[SimulatedEvent, ...]:
        return tuple(Block(self.seed, self.symbols, block).run())


def expected(seed: int, symbols: Sequence[str], trades: int) -> list[Trade]:
    """The first `trades` trades, for ledgers."""
    executed = (e for e in Exchange(seed, symbols).events() if e.event_type == "TradeExecuted")
    return [
        msgspec.convert({"sequence": event.sequence, **event.data}, Trade)
        for event in islice(executed, trades)
    ]
