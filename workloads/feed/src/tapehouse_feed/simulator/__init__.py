"""A seeded exchange that serves its events over a WebSocket."""

from tapehouse_feed.simulator.block import SimulatedEvent
from tapehouse_feed.simulator.exchange import Exchange, Trade, expected

__all__ = ["Exchange", "SimulatedEvent", "Trade", "expected"]
