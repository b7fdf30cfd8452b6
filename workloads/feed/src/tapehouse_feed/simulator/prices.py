"""Prices at any moment of the exchange's life, computed without walking there."""

import math
from hashlib import blake2b

SPAN = 4
"""Each layer's steps are this many times as long as those of the layer below."""
LAYERS = 10
STEP = 0.0012
"""Standard deviation of the logarithm of a price from one block to the next."""


def digest(*parts: object) -> int:
    """64 bits that depend on the parts only, on every machine."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest())


def _normal(*parts: object) -> float:
    """A standard normal number that depends on the parts only (Box-Muller)."""
    bits = digest(*parts)
    u, v = ((bits >> 32) + 1) / 2**32, (bits & 0xFFFFFFFF) / 2**32
    return math.sqrt(-2.0 * math.log(min(u, 1.0))) * math.cos(2.0 * math.pi * v)


def base_price(seed: int, symbol: str) -> float:
    """Where a symbol starts, 20 to 400 USD."""
    return round(20.0 + 380.0 * digest(seed, symbol, "base") / 2**64, 2)


def price(seed: int, symbol: str, block: int) -> float:
    """The fair price in USD at the start of `block`.

    A sum of layers of smoothed noise, each slower and wider than the one before: near blocks are
    near in price, far ones wander, and any block costs the same.
    """
    total = 0.0
    for layer in range(LAYERS):
        width = SPAN**layer
        knot, offset = divmod(block, width)
        here = _normal(seed, symbol, layer, knot)
        there = _normal(seed, symbol, layer, knot + 1)
        at = offset / width
        blend = at * at * (3.0 - 2.0 * at)
        total += STEP * math.sqrt(width) * (here + (there - here) * blend) * 0.5
    return max(1.0, round(base_price(seed, symbol) * math.exp(total), 2))
