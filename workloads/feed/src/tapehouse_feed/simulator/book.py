"""A limit order book by price, then time."""

from bisect import insort
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any


@dataclass(slots=True)
class Order:
    """A resting order; `rank` sorts it within its side, best first."""

    order_id: str
    agent_id: str
    price: float
    quantity: int
    rank: tuple[float, int] = (0.0, 0)


_RANK = attrgetter("rank")


@dataclass(slots=True)
class Book:
    """Both sides of one instrument."""

    symbol: str
    bids: list[Order] = field(default_factory=list)
    asks: list[Order] = field(default_factory=list)
    version: int = 0
    prices: list[float] = field(default_factory=list)
    volume: int = 0
    value: float = 0.0

    def side(self, buy: bool) -> list[Order]:
        """The resting orders to buy, or to sell."""
        return self.bids if buy else self.asks

    def add(self, buy: bool, order: Order) -> None:
        """Let an order rest."""
        self.version += 1
        order.rank = (-order.price if buy else order.price, self.version)
        insort(self.side(buy), order, key=_RANK)

    def passive(self, buy: bool, price: float) -> float:
        """`price` kept a cent away from the other side, so that it rests."""
        others = self.side(not buy)
        if not others:
            return max(0.01, price)
        best = others[0].price
        return max(0.01, min(price, best - 0.01) if buy else max(price, best + 0.01))

    def take(self, buy: bool, quantity: int, fills: int) -> list[tuple[Order, int]]:
        """Fill up to `quantity` against at most `fills` of the best orders to sell (or buy)."""
        others = self.side(not buy)
        filled: list[tuple[Order, int]] = []
        while others and quantity and len(filled) < fills:
            best = others[0]
            amount = min(quantity, best.quantity)
            best.quantity -= amount
            quantity -= amount
            filled.append((best, amount))
            self.volume += amount
            self.value += amount * best.price
            self.prices.append(best.price)
            if not best.quantity:
                del others[0]
        self.version += 1
        return filled

    def levels(self, buy: bool, depth: int = 5) -> list[dict[str, Any]]:
        """The best price levels: price, quantity, order_count."""
        levels: list[dict[str, Any]] = []
        for order in self.side(buy):
            if levels and levels[-1]["price"] == order.price:
                levels[-1]["quantity"] += order.quantity
                levels[-1]["order_count"] += 1
                continue
            if len(levels) == depth:
                break
            level = {"price": order.price, "quantity": order.quantity, "order_count": 1}
            levels.append(level)
        return levels
