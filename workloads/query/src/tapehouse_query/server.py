"""Puts the parts together from the settings, and serves."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import uvicorn
from pyiceberg.catalog import Catalog, load_catalog

from tapehouse_query.app import create_app
from tapehouse_query.kube import Kube, Resources
from tapehouse_query.live.events import AlertEvent, TradeEvent
from tapehouse_query.live.hub import Hub, Keyed
from tapehouse_query.live.kafka import LiveTopic
from tapehouse_query.reads.engine import Engine
from tapehouse_query.reads.lake import Lake
from tapehouse_query.schema.answers import Answers
from tapehouse_query.schema.context import Services
from tapehouse_query.settings import Settings
from tapehouse_query.watchlists import open_watchlists

E = TypeVar("E", bound=Keyed)

_TRADE_TOPICS = ("enriched.trades", "raw.trades")
_MOVEMENTS, _ANOMALIES = "alerts.price-movement", "alerts.anomalies"


async def serve(settings: Settings) -> None:
    """Serve until a signal comes.

    Raises:
        OSError: the address cannot be bound.
    """
    kube = Kube(settings.namespace)
    trades: Hub[TradeEvent] = Hub("onNewTrade")
    engine = Engine(
        Lake(lambda: connect(settings), settings.catalog_prefix),
        threads=settings.duckdb_threads,
        memory=settings.duckdb_memory,
        workers=settings.workers,
        timeout=settings.timeout,
    )
    alerts: Hub[AlertEvent] = Hub("onTradeAlert")

    def config() -> Mapping[str, str] | None:
        return kafka_config(settings, kube)

    live: dict[str, LiveTopic[Any]] = {
        "trades": LiveTopic(config, _TRADE_TOPICS, TradeEvent, into(trades)),
        "alerts": LiveTopic(config, [_MOVEMENTS], AlertEvent, into(alerts)),
        "anomalies": LiveTopic(config, [_ANOMALIES], AlertEvent, into(alerts)),
    }
    services = Services(
        engine, trades, alerts, open_watchlists(settings.watchlists), Answers(engine.lake)
    )
    app = create_app(services, Resources(kube), live)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=3,
            ws_max_size=1 << 20,
            ws_per_message_deflate=False,
        )
    )
    await server.serve()


def connect(settings: Settings) -> Catalog:
    """The REST catalog; it sends only the snapshots that a branch or tag names."""
    return load_catalog(
        "tapehouse",
        **{"type": "rest", "uri": settings.catalog_uri, "snapshot-loading-mode": "refs"},
    )


def into(hub: Hub[E]) -> Callable[[list[E]], None]:
    """A delivery from any thread to a hub of this event loop."""
    loop = asyncio.get_running_loop()

    def deliver(events: list[E]) -> None:
        loop.call_soon_threadsafe(hub.publish, events)

    return deliver


def kafka_config(settings: Settings, kube: Kube) -> Mapping[str, str] | None:
    """librdkafka's settings; None while the broker's address is not known."""
    if settings.kafka is None:
        return None
    bootstrap = settings.kafka_bootstrap or kube.bootstrap(
        settings.kafka_cluster, settings.kafka_listener
    )
    return {"bootstrap.servers": bootstrap, **settings.kafka} if bootstrap else None
