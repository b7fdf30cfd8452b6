"""Kubernetes quantities, as far as `resourceFieldRef` needs them."""

import math
from fractions import Fraction

SUFFIXES = {
    "m": Fraction(1, 1000),
    "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
}


def parse(quantity: str | float) -> Fraction:
    """`500m`, `1.5`, `256Mi` as a number.

    Raises:
        ValueError: not a quantity.
    """
    text = str(quantity)
    digits = text.rstrip("mkMGTiK")
    suffix = text[len(digits) :]
    if suffix not in SUFFIXES:
        raise ValueError(f"{text!r} is not a quantity")
    return Fraction(digits) * SUFFIXES[suffix]


def divided(quantity: str | float, divisor: str | float) -> str:
    """A quantity in units of a divisor, rounded up, as `resourceFieldRef` gives it."""
    unit = parse(divisor) or Fraction(1)
    return str(math.ceil(parse(quantity) / unit))
