"""The context of resolvers, `info.context`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import strawberry
from strawberry.dataloader import DataLoader
from strawberry.fastapi import BaseContext

from tapehouse_query.live.events import AlertEvent, TradeEvent
from tapehouse_query.live.followed import Followed
from tapehouse_query.live.hub import Hub
from tapehouse_query.reads import symbols
from tapehouse_query.reads.engine import Engine
from tapehouse_query.reads.read_tracking import record_private
from tapehouse_query.reads.symbols import Instrument
from tapehouse_query.schema.answers import Answers
from tapehouse_query.watchlists import Watchlists

LOCAL_USER = "local"
"""The user of requests without authentication."""


@dataclass
class Services:
    """The parts that live as long as the server."""

    engine: Engine
    trades: Hub[TradeEvent]
    alerts: Hub[AlertEvent]
    watchlists: Watchlists
    answers: Answers | None = None
    """None = nothing is cached."""
    followed: Followed = field(default_factory=Followed)

    def close(self) -> None:
        """Stop everything that runs."""
        self.engine.close()


class Context(BaseContext):
    """One request's services.

    `writes_json` says that the answer goes straight into orjson, which takes ready-made fragments.
    """

    def __init__(self, services: Services, writes_json: bool = False) -> None:
        super().__init__()
        self.user = LOCAL_USER
        self.writes_json = writes_json
        self.engine = services.engine
        self.trades = services.trades
        self.alerts = services.alerts
        self.followed = services.followed
        self.operation = "invalid"
        self.succeeded = False
        self._watchlists = services.watchlists
        self.symbols = DataLoader(load_fn=self._load_symbols)

    @property
    def watchlists(self) -> Watchlists:
        """The users' lists; an operation that uses them is never cached."""
        record_private()
        return self._watchlists

    async def _load_symbols(self, names: Sequence[str]) -> list[Instrument | None]:
        known = await self.engine.run("symbols", symbols.by_symbol)
        return [known.get(name) for name in names]


Info: TypeAlias = strawberry.Info[Context, None]
