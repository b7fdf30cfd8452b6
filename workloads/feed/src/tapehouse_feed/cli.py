"""`tapehouse-feed`: the bridge and the simulator."""

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click
import uvloop
from confluent_kafka import KafkaException
from tapehouse_contracts.durations import seconds
from tapehouse_tape import times
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
from tapehouse_feed.deadletters import DeadLetters, Letter
from tapehouse_feed.simulator import server
from tapehouse_feed.sink import DeliveryError

FILE = click.argument("file", type=click.Path(path_type=Path))
_SHOWN = ("position", "received_at", "reason", "detail", "trace_id", "seq", "origin")
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
    await stop.wait()
    # Its clients are not waited for: they would listen for ever.
    serving.close()


@main.group()
def deadletters() -> None:
    """Look at, replay and purge the frames that could not be taken."""


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--reason", help="Only letters with this reason, such as wrong-type."),
        click.option("--at", "position", help="Only the letter at PARTITION:OFFSET."),
        click.option(
            "--before", metavar="TIME", help="Only letters received before TIME (ISO-8601)."
        ),
    ):
        command = option(command)
    return FILE(command)


@deadletters.command("list")
@_filters
def list_(file: Path, **filters: str | None) -> None:
    """One line for each letter: position, time, reason, detail."""
    with _dead_letters(file) as letters:
        for letter in letters.letters(_wanted(**filters)):
            where = f"{letter.position:>10}  {letter.received_at}"
            click.echo(f"{where}  {letter.reason:<14}  {letter.detail[:100]}")


@deadletters.command()
@_filters
def show(file: Path, **filters: str | None) -> None:
    """Everything about each letter; bytes that are not text are escaped."""
    with _dead_letters(file) as letters:
        for letter in letters.letters(_wanted(**filters)):
            for name in _SHOWN:
                click.echo(f"{name + ':':<13}{getattr(letter, name)}")
            click.echo(f"{'bytes:':<13}{len(letter.value)}")
            click.echo(letter.value.decode("utf-8", "backslashreplace") + "\n")


@deadletters.command()
@_filters
def replay(file: Path, **filters: str | None) -> None:
    """Check letters again, with FILE as it is now, and write what passes; each at most once."""
    with _dead_letters(file) as letters:
        done = letters.replay(_wanted(**filters))
    click.echo(
        f"{done.replayed} replayed, {done.still_bad} still bad, {done.done_before} replayed before"
    )


@deadletters.command()
@FILE
@click.option("--before", metavar="TIME", help="Letters received before TIME (ISO-8601).")
@click.option("--older-than", metavar="AGE", help="Letters older than AGE, such as 7d.")
@click.option("--replayed", is_flag=True, help="Letters that have been replayed.")
def purge(file: Path, before: str | None, older_than: str | None, replayed: bool) -> None:
    """Delete letters from the oldest on, up to the first that is to be kept.

    That is how Kafka deletes. `spec.deadLetter.retention` does the same by itself.
    """
    if not (before or older_than or replayed):
        raise click.UsageError("say which: --before TIME, --older-than AGE or --replayed")
    with _dead_letters(file) as letters:
        wanted = _wanted(before=_earlier(before, older_than))
        done = letters.replayed() if replayed else None
        purged = letters.purge(
            lambda letter: wanted(letter) and (done is None or letter.position in done)
        )
    click.echo(f"{purged} purged")


@contextmanager
def _dead_letters(file: Path) -> Iterator[DeadLetters]:
    config = _config(file)
    letters = DeadLetters(config, kafka_client(config))
    try:
        yield letters
    except KafkaException as error:
        raise click.ClickException(f"Kafka: {error.args[0].str()}") from None
    except (DeclarationError, RuntimeError) as error:
        raise click.ClickException(str(error)) from None
    finally:
        letters.close()


def _earlier(before: str | None, older_than: str | None) -> str | None:
    """The moment that both options give, the earlier where there are two."""
    moments = [times.normalise(before)] if before else []
    if older_than:
        try:
            age = seconds(older_than)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--older-than") from None
        moments.append(times.from_micros(int((time.time() - age) * 1e6)))
    return min(moments, default=None)


def _wanted(
    reason: str | None = None, position: str | None = None, before: str | None = None
) -> Callable[[Letter], bool]:
    try:
        until = times.normalise(before) if before else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--before") from None
    return lambda letter: (
        (reason is None or letter.reason == reason)
        and (position is None or letter.position == position)
        and (until is None or letter.received_at < until)
    )


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
    # Records under way are many young objects without cycles: looking at them often finds nothing.
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


def _fail(message: str) -> NoReturn:
    """End with a line in the log instead of a stack trace."""
    log.error(message)
    sys.exit(1)
