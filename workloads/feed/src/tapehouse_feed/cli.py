"""`tapehouse-feed`: the bridge and the simulator."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn

import click
import uvloop
from confluent_kafka import KafkaException
from tapehouse_tape.events import DeclarationError

from tapehouse_feed import logs, metrics
from tapehouse_feed.bridge import Bridge
from tapehouse_feed.config import (
    ConfigError,
    FeedConfig,
    SimulatorSource,
    WebSocketSource,
    headers,
    kafka_client,
    load,
)
from tapehouse_feed.simulator import server
from tapehouse_feed.sink import DeliveryError

FILE = click.argument("file", type=click.Path(path_type=Path))
log = logging.getLogger("tapehouse.feed")


@click.group()
def main() -> None:
    """Brings a feed's events into Kafka."""


@main.command()
@FILE
def bridge(file: Path) -> None:
    """Read the source that FILE (feed.json) names and write its events to Kafka."""
    config = _config(file)
    host = _pod_ip()
    try:
        _run(_bridge(config, file.parent, host))
    except (ConfigError, DeclarationError, DeliveryError) as error:
        _fail(str(error))
    except KafkaException as error:
        _fail(f"Kafka: {error.args[0].str()}")
    except OSError as error:
        _fail(f"{host}:{metrics.PORT}: {error.strerror}")


async def _bridge(config: FeedConfig, directory: Path, host: str) -> None:
    source = config.source
    secret = headers(source, directory) if isinstance(source, WebSocketSource) else {}
    await Bridge(config, kafka_client(config), host, secret).run(metrics.PORT)


@main.command()
@FILE
def simulator(file: Path) -> None:
    """Serve the exchange that FILE (feed.json) describes, on port 8765 of POD_IP."""
    config = _config(file)
    if not isinstance(config.source, SimulatorSource):
        _fail(f"{file}: source.type: this feed has no simulator; set it to simulator")
    host = _pod_ip()
    try:
        _run(_serve(config.source, host))
    except OSError as error:
        _fail(f"{host}:{server.PORT}: {error.strerror}")


async def _serve(source: SimulatorSource, host: str) -> None:
    serving = await server.serve(source, host)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    log.info("serving", extra={"url": f"ws://{host}:{server.PORT}/"})
    async with serving:
        await stop.wait()
        serving.close()


def _config(file: Path) -> FeedConfig:
    try:
        config = load(file)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    logs.configure(config.log_level)
    return config


def _pod_ip() -> str:
    return os.environ.get("POD_IP", "127.0.0.1")


def _run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


def _fail(message: str) -> NoReturn:
    """End with a line in the log instead of a stack trace."""
    log.error(message)
    sys.exit(1)
