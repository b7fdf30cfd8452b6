"""A seeded exchange that serves its events over a WebSocket."""

from tapehouse_feed.simulator.exchange import Exchange, SimulatedEvent, Trade, expected

__all__ = ["Exchange", "SimulatedEvent", "Trade", "expected"]
