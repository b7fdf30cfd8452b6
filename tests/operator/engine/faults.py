"""Faults to order for the cluster in memory."""

import random
from dataclasses import dataclass, field

from tapehouse_kube.errors import Rejected, Unavailable
from tapehouse_kube.objects import Ref, Scope

CALLS = frozenset({"get", "apply", "merge", "delete"})


class Crash(BaseException):
    """The operator process is gone, here and now."""


@dataclass
class CrashAt:
    """Kills the operator at its `index`-th call, before it takes effect or after."""

    index: int
    after_effect: bool
    calls: list[str] = field(default_factory=list)
    crashed: bool = False

    def before(self, verb: str, ref: Ref | Scope) -> None:
        if self.crashed:
            raise Crash
        if verb in CALLS:
            self.calls.append(f"{verb} {ref}")
            if len(self.calls) - 1 == self.index and not self.after_effect:
                self._crash()

    def after(self, verb: str, ref: Ref | Scope) -> None:
        if verb in CALLS and len(self.calls) - 1 == self.index and self.after_effect:
            self._crash()

    def _crash(self) -> None:
        self.crashed = True
        raise Crash


@dataclass
class Weather:
    """Random faults while it storms: refusals, lost requests, lost answers."""

    rng: random.Random
    rate: float = 0.0

    def before(self, verb: str, ref: Ref | Scope) -> None:
        if self.rng.random() < self.rate:
            raise self.rng.choice(
                [
                    Unavailable("connection refused"),
                    Unavailable("too many requests", retry_after=3.0),
                    Unavailable("internal error"),
                    Rejected(409, "Conflict", "the object has been modified"),
                    Rejected(403, "Forbidden", "not allowed at the moment"),
                ]
                if verb in CALLS
                else [Unavailable("connection refused")]
            )

    def after(self, verb: str, ref: Ref | Scope) -> None:
        if self.rng.random() < self.rate:
            raise Unavailable("the answer was lost")
