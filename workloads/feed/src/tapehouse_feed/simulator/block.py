"""One block of the exchange: a book that opens around a fair price, and agents who trade in it."""

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec

from tapehouse_feed.simulator.book import Book, Order
from tapehouse_feed.simulator.prices import digest, price

BLOCK = 1_000
TRADES = 300
ACTIVE = 8
"""At most that many symbols trade within a block; over many blocks all do."""
LEVELS = 3
TRADED_OUT = 960
"""By this event of the block all its trades have happened."""

NOW = "@now@"
"""Stands for the moment of sending."""
HALTED_AT = "@halted@"
"""Stands for the moment of sending less the length of the halt."""

AGENTS = 120
_TYPES = ("MarketMaker", "HighFrequencyTrader", "InstitutionalInvestor", "RetailTrader")
_CANCELS = ("UserRequested", "Repriced", "RiskLimit", "TimeInForce")
_ACTIONS = ("Buy", "Sell", "Hold", "WidenSpread", "ReduceRisk")
_FACTORS = ("momentum", "inventory", "spread", "volatility", "news", "mean reversion")
_HALTS = ((7.0, 1, 15), (13.0, 2, 30), (20.0, 3, 60))


class SimulatedEvent(msgspec.Struct, gc=False):
    """Event `sequence` of the exchange; times in `data` are the placeholders above."""

    sequence: int
    event_type: str
    data: dict[str, Any]


def agent_type(agent_id: str) -> str:
    """What kind of trader an agent is; it never changes."""
    return _TYPES[int(agent_id[-3:]) % len(_TYPES)]


class Block:
    """One block being made."""

    def __init__(self, seed: int, symbols: Sequence[str], block: int) -> None:
        self.key = digest(seed, *symbols)
        self.random = Random(digest(self.key, "block", block))  # noqa: S311
        self.first = block * BLOCK + 1
        self.made: list[SimulatedEvent] = []
        self.trades = 0
        self.prefixes = {kind: _prefix(self.key, kind) for kind in ("event", "order", "trade")}
        active = symbols if len(symbols) <= ACTIVE else self.random.sample(symbols, ACTIVE)
        self.books = [Book(symbol) for symbol in active]
        self.fair = [(price(seed, s, block), price(seed, s, block + 1)) for s in active]
        self.halting = block == 0 or digest(self.key, "halt", block) % 16 == 0
        self.halted: Book | None = None

    def run(self) -> list[SimulatedEvent]:
        """Open the books, then let agents act until the block is full."""
        for index in range(len(self.books)):
            for _ in range(LEVELS):
                self._rest(index, True)
                self._rest(index, False)
        opened = len(self.made)
        while len(self.made) < BLOCK:
            self._halts()
            due = TRADES * (len(self.made) - opened) / (TRADED_OUT - opened)
            if self.trades < min(TRADES, due):
                self._aggress()
            else:
                self._idle()
        return self.made

    @property
    def room(self) -> int:
        """How many events it still takes."""
        return BLOCK - len(self.made)

    def _emit(self, kind: str, data: dict[str, Any]) -> None:
        self.made.append(SimulatedEvent(self.first + len(self.made), kind, data))

    def _id(self, kind: str) -> str:
        """Unique among ids of its kind: an event makes at most one of each."""
        return f"{self.prefixes[kind]}{self.first + len(self.made):012x}"

    def _head(self) -> dict[str, Any]:
        return {"event_id": self._id("event"), "timestamp": NOW}

    def _agent(self) -> str:
        return f"agent-{int(self.random.random() * AGENTS):03d}"

    def _pick(self) -> int:
        """A symbol that trades now."""
        index = int(self.random.random() * len(self.books))
        if self.books[index] is self.halted and len(self.books) > 1:
            index = (index + 1) % len(self.books)
        return index

    def _value(self, index: int) -> float:
        """The fair price now: from this block's to the next one's."""
        start, end = self.fair[index]
        return start + (end - start) * len(self.made) / BLOCK

    def _rest(self, index: int, buy: bool) -> None:
        """An order that rests in the book."""
        book, random = self.books[index], self.random
        distance = 0.01 + self._value(index) * (0.0002 + random.expovariate(2500.0))
        wanted = self._value(index) - distance if buy else self._value(index) + distance
        limit = round(book.passive(buy, wanted), 2)
        order = Order(self._id("order"), self._agent(), limit, 10 * random.randint(5, 120))
        self._placed(book, buy, order, "Limit", limit)
        book.add(buy, order)

    def _placed(
        self, book: Book, buy: bool, order: Order, order_type: str, limit: float | None
    ) -> None:
        data = self._head()
        data |= {
            "order_id": order.order_id,
            "symbol": book.symbol,
            "side": "Buy" if buy else "Sell",
            "order_type": order_type,
            "price": limit,
            "quantity": order.quantity,
            "agent_id": order.agent_id,
            "agent_type": agent_type(order.agent_id),
        }
        self._emit("OrderPlaced", data)

    def _aggress(self) -> None:
        """An order that takes what rests, towards the fair price."""
        index = self._pick()
        book, random = self.books[index], self.random
        ask, bid, fair = book.asks[0].price, book.bids[0].price, self._value(index)
        buy = random.random() < (0.85 if fair > ask else 0.15 if fair < bid else 0.5)
        fills = min(3, TRADES - self.trades, self.room - 1)
        resting = book.side(not buy)[:fills]
        quantity = min(random.randint(1, 400), sum(order.quantity for order in resting))
        order = Order(self._id("order"), self._agent(), 0.0, quantity)
        self._placed(book, buy, order, "Market", None)
        for maker, amount in book.take(buy, quantity, fills):
            self._traded(book, buy, order, maker, amount)
        while len(book.side(not buy)) < LEVELS and self.room:
            self._rest(index, not buy)
        if self.room and random.random() < 0.5:
            self._quote(book)

    def _traded(self, book: Book, buy: bool, taker: Order, maker: Order, amount: int) -> None:
        buyer, seller = (taker, maker) if buy else (maker, taker)
        data = self._head()
        data |= {
            "trade_id": self._id("trade"),
            "symbol": book.symbol,
            "price": maker.price,
            "quantity": amount,
            "buy_order_id": buyer.order_id,
            "sell_order_id": seller.order_id,
            "buyer_agent_id": buyer.agent_id,
            "seller_agent_id": seller.agent_id,
            "is_aggressive_buy": buy,
        }
        self._emit("TradeExecuted", data)
        self.trades += 1

    def _idle(self) -> None:
        """Something that is not a trade."""
        index, dice = self._pick(), self.random.random()
        book = self.books[index]
        if dice < 0.45:
            self._rest(index, self.random.random() < 0.5)
            if self.room and dice < 0.3:
                self._quote(book)
        elif dice < 0.65 and min(len(book.bids), len(book.asks)) > LEVELS:
            self._cancel(book)
        elif dice < 0.75:
            self._snapshot(book)
        elif dice < 0.82 and book.prices:
            self._stats(book)
        else:
            self._act(book)

    def _cancel(self, book: Book) -> None:
        buy = self.random.random() < 0.5
        order = book.side(buy).pop(self.random.randrange(1, len(book.side(buy))))
        data = self._head()
        data |= {
            "order_id": order.order_id,
            "symbol": book.symbol,
            "side": "Buy" if buy else "Sell",
            "price": order.price,
            "remaining_quantity": order.quantity,
            "agent_id": order.agent_id,
            "reason": self.random.choice(_CANCELS),
        }
        self._emit("OrderCancelled", data)

    def _quote(self, book: Book) -> None:
        bid, ask = book.levels(True, 1)[0], book.levels(False, 1)[0]
        data = self._head()
        data |= {
            "symbol": book.symbol,
            "best_bid": bid["price"],
            "best_bid_size": bid["quantity"],
            "best_ask": ask["price"],
            "best_ask_size": ask["quantity"],
            "spread": round(ask["price"] - bid["price"], 2),
        }
        self._emit("QuoteUpdate", data)

    def _snapshot(self, book: Book) -> None:
        data = self._head()
        data |= {"symbol": book.symbol, "bids": book.levels(True), "asks": book.levels(False)}
        data["sequence_number"] = self.first + len(self.made)
        self._emit("OrderBookSnapshot", data)

    def _stats(self, book: Book) -> None:
        data = self._head()
        data |= {
            "symbol": book.symbol,
            "open": book.prices[0],
            "high": max(book.prices),
            "low": min(book.prices),
            "close": book.prices[-1],
            "volume": book.volume,
            "trade_count": len(book.prices),
            "vwap": round(book.value / book.volume, 6),
        }
        self._emit("MarketStats", data)

    def _act(self, book: Book) -> None:
        agent = self._agent()
        data = self._head()
        data |= {
            "agent_id": agent,
            "agent_type": agent_type(agent),
            "symbol": book.symbol,
            "action": self.random.choice(_ACTIONS),
            "decision_factors": self.random.sample(_FACTORS, self.random.randint(1, 3)),
        }
        self._emit("AgentAction", data)

    def _halts(self) -> None:
        """In some blocks one symbol stops trading for a while; a lone symbol trades on."""
        made = len(self.made)
        if self.halting and self.halted is None and made >= BLOCK // 3:
            self.halting = False
            self.halted = self.books[self._pick()]
            decline, level, length = _HALTS[made % len(_HALTS)]
            reference = round(self._value(self.books.index(self.halted)), 2)
            self.halt = {"level": level, "halt_duration_secs": length}
            data = {"symbol": self.halted.symbol, "reason": "CircuitBreaker", **self.halt}
            data["trigger_price"] = round(reference * (1.0 - decline / 100.0), 2)
            data |= {"reference_price": reference, "decline_pct": decline}
            self._emit("TradingHalt", data)
        elif self.halted is not None and made >= BLOCK // 2:
            data = {"symbol": self.halted.symbol, "halted_at": HALTED_AT, **self.halt}
            self._emit("TradingResume", {**data, "timestamp": NOW})
            self.halted = None


def _prefix(key: int, kind: str) -> str:
    """The first 24 characters of a version-4 UUID; the other twelve count."""
    bits = f"{digest(key, kind):016x}"
    return f"{bits[:8]}-{bits[8:12]}-4{bits[12:15]}-8{bits[13:16]}-"
