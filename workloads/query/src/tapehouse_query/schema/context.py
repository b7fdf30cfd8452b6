"""What resolvers find in `info.context`."""

from dataclasses import dataclass
from typing import TypeAlias

import strawberry
from strawberry.fastapi import BaseContext

from tapehouse_query.live.events import TradeEvent
from tapehouse_query.live.hub import Hub
from tapehouse_query.reads.engine import Engine


@dataclass
class Services:
    """The parts that live as long as the server."""

    engine: Engine
    trades: Hub[TradeEvent]

    def close(self) -> None:
        """Stop everything that runs."""
        self.engine.close()


class Context(BaseContext):
    """One request's services.

    `writes_json` says that the answer goes straight into orjson, which takes ready-made fragments.
    """

    def __init__(self, services: Services, writes_json: bool = False) -> None:
        super().__init__()
        self.writes_json = writes_json
        self.engine = services.engine
        self.trades = services.trades


Info: TypeAlias = strawberry.Info[Context, None]
