"""The laptop's commands of `tapehouse`: prepare, up, demo, status, info, logs, down."""

import asyncio
import functools
import json
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from tapehouse_kube.access import load_access
from tapehouse_laptop import surroundings
from tapehouse_laptop.errors import LaptopError
from tapehouse_laptop.kubeapi import Kube
from tapehouse_laptop.net import Net
from tapehouse_laptop.state import State
from tapehouse_laptop.supervisor import Installation

from tapehouse_cli.platform import demo, endpoints, up
from tapehouse_cli.platform import log_view as logview
from tapehouse_cli.platform.progress import console as terminal
from tapehouse_cli.platform.progress import screen, table
from tapehouse_cli.platform.status_view import Row, StatusView, Transitions, component_rows
from tapehouse_cli.platform.timeline import Timeline
from tapehouse_cli.target import Target, targeted

DEFAULT_DIRECTORY = "environments/local"
DEFAULT_TIMEOUT = 600
CHECK_SECONDS = 5.0
"""Between two looks at the processes while nothing changes."""
BACKGROUND = "It goes on in the background; `tapehouse down` stops it."
DATA = ("data", "flink", "pods", "pki", "run", "logs", "kubeconfig", "installation.json")
"""What `down --data` removes of the state directory."""


def friendly(command: Callable[..., None]) -> Callable[..., None]:
    """Errors as one sentence, without a stack trace."""

    @functools.wraps(command)
    def guarded(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except (LaptopError, OSError) as error:
            raise click.ClickException(str(error)) from error

    return guarded


@click.command()
@friendly
def prepare() -> None:
    """Check this machine, download and build what `up` needs."""
    state = State.find()
    surroundings.check_disk(state.root.parent)
    with screen(terminal()) as shown:
        up.prepare(shown.note)
    click.echo("Everything is prepared: `tapehouse up`")


@click.command("up")
@click.argument(
    "directory", default=DEFAULT_DIRECTORY, type=click.Path(file_okay=False, path_type=Path)
)
@click.option("--detach", is_flag=True, help="Return once all is ready; it goes on by itself.")
@click.option(
    "--timeout", default=DEFAULT_TIMEOUT, show_default=True, help="Seconds until all is ready."
)
@friendly
def up_command(directory: Path, detach: bool, timeout: int) -> None:
    """Run the platform here and apply the resources in DIRECTORY.

    Starts a control plane, Kafka, Flink, the catalog and the operator, or goes on with what
    runs, and stays until Ctrl-C.
    """
    bring_up(directory, terminal(), detach=detach, timeout=timeout)


def bring_up(
    directory: Path,
    console: Console,
    *,
    detach: bool,
    timeout: float,
    timeline: Timeline | None = None,
    when_ready: Callable[[], None] = lambda: None,
) -> None:
    """What `up` does; `when_ready` is called once everything is."""
    state, timeline = State.find(), timeline or Timeline()
    before = Installation.read(state)
    resumed = before is not None and before.alive
    keep = detach or resumed
    # A closed terminal or a polite kill stops the platform as Ctrl-C does.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with screen(console) as shown:
            call = up.Up(state, directory, shown, timeline, timeout, keep)
            programs = call.prepare()
            asyncio.run(call.run(programs))
        when_ready()
        console.print(timeline.table())
        _print_endpoints(console, asyncio.run(_info(state)))
        if keep:
            console.print(BACKGROUND, highlight=False)
            return
        _watch(state)
    except KeyboardInterrupt:
        if resumed:
            console.print(BACKGROUND, highlight=False)
            sys.exit(130)
        _stop(state, console)
        sys.exit(130)
    except LaptopError:
        left = Installation.read(state)
        if left is not None and not keep:
            _stop(state, console)
        elif left is not None and left.alive:
            console.print(BACKGROUND, highlight=False)
        raise


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _watch(state: State) -> None:
    """Stay until interrupted or the supervisor ends; print only what changes its readiness."""
    asyncio.run(_follow(state))


async def _follow(state: State) -> None:
    installation = up.check_alive(state)
    async with Kube.connect(state.kubeconfig) as kube:
        view = StatusView(kube, state, installation.namespaces)
        async with view.following():
            # Printed only now: before the loop runs, an interrupt would leave it half made.
            click.echo("Ctrl-C stops it. `tapehouse status` shows every resource.")
            transitions = Transitions(view.everything())
            while True:
                await view.changed(CHECK_SECONDS)
                up.check_alive(state)
                for line in transitions.of(view.everything()):
                    click.echo(f"{time.strftime('%H:%M:%S')} {line}")


def _stop(state: State, console: Console) -> None:
    console.print("Stopping … (Ctrl-C again kills)", highlight=False)
    try:
        with screen(console) as shown:
            up.stop(state, shown)
    except KeyboardInterrupt:
        with screen(console) as shown:
            up.stop(state, shown, force=True)
    console.print("Stopped; the data is kept. `tapehouse up` goes on with it.", highlight=False)


@click.command("demo")
@click.option("--detach", is_flag=True, help="Return after the answer; it goes on by itself.")
@click.option(
    "--timeout", default=DEFAULT_TIMEOUT, show_default=True, help="Seconds until all is ready."
)
@friendly
def demo_command(detach: bool, timeout: int) -> None:
    """Run environments/local; show its first candles and timings."""
    timeline, console = Timeline(), terminal()
    first = demo.FirstCandles(State.find(), timeline, console.print_json)
    first.start()
    bring_up(
        demo.directory(),
        console,
        detach=detach,
        timeout=timeout,
        timeline=timeline,
        when_ready=first.wait,
    )


@click.command()
@targeted
@friendly
def status(cluster: Target) -> None:
    """Show components and resources, and what is not ready."""
    console = terminal()
    width = console.width if console.is_terminal else None
    for line in table(_status_rows(cluster), width):
        console.print(line, soft_wrap=True)


def _status_rows(cluster: Target) -> list[Row]:
    state, kubeconfig = State.find(), cluster.found_kubeconfig()
    installation = Installation.read(state)
    here = installation is not None and kubeconfig == str(state.kubeconfig)
    if installation and here and installation.phase != "Running":
        return component_rows(state)
    namespaces = [cluster.namespace] if cluster.namespace else None
    if installation and here:
        return asyncio.run(
            _rows(state.kubeconfig, None, state, namespaces or installation.namespaces)
        )
    namespaces = namespaces or [load_access(kubeconfig, cluster.context).namespace]
    return asyncio.run(_rows(Path(kubeconfig), cluster.context or None, None, namespaces))


async def _rows(
    kubeconfig: Path, context: str | None, state: State | None, namespaces: list[str]
) -> list[Row]:
    async with Kube.connect(kubeconfig, context) as kube:
        view = StatusView(kube, state, namespaces)
        async with view.following():
            return view.everything()


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@friendly
def info(as_json: bool) -> None:
    """Show every endpoint and how to connect."""
    state = State.find()
    up.check_alive(state)
    found = asyncio.run(_info(state))
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _print_endpoints(terminal(), found)


async def _info(state: State) -> dict[str, Any]:
    installation = up.check_alive(state)
    async with Kube.connect(state.kubeconfig) as kube:
        net = Net.parse(installation.net)
        return await endpoints.gather(kube, state, net, installation.namespaces)


def _print_endpoints(console: Console, found: dict[str, Any]) -> None:
    kafka = found["kafka"] or {}
    lines = {
        "page": found["page"],
        "GraphQL": found["graphql"],
        "Kafka": f"{kafka.get('bootstrap.servers')} as {kafka.get('sasl.username')}"
        if kafka
        else "-",
        "catalog": (found["catalog"] or {}).get("uri", "-"),
        "kubectl": f"export KUBECONFIG={found['kubeconfig']}",
    }
    for name, value in lines.items():
        console.print(f"  {name:<8} {value}", markup=False, highlight=False, soft_wrap=True)
    console.print("  the rest `tapehouse info --json`", markup=False, highlight=False)


@click.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C.")
@click.option("-n", "--lines", default=100, show_default=True, help="Lines of each log at first.")
@friendly
def logs(name: str, follow: bool, lines: int) -> None:
    """Show logs of a resource, Pod, Deployment or component."""
    found = logview.find(State.find(), name)
    try:
        logview.show(found, lines, click.echo)
        if follow:
            logview.follow(found, click.echo)
    except KeyboardInterrupt:
        sys.exit(130)


@click.command()
@click.option("--data", is_flag=True, help="Remove all data as well.")
@friendly
def down(data: bool) -> None:
    """Stop the platform; its data stays unless told otherwise."""
    state, console = State.find(), terminal()
    if not state.root.exists():
        console.print(f"Nothing in {state.root}.", highlight=False)
        return
    with screen(console) as shown:
        stopped = up.stop(state, shown)
    console.print("Stopped." if stopped else "Nothing was running.", highlight=False)
    if data:
        _remove_data(state)
        console.print(f"Removed the data in {state.root}.", highlight=False)


def _remove_data(state: State) -> None:
    for name in DATA:
        path = state.root / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@click.command()
def health() -> None:
    """Check that everything runs, and how far it is behind.

    Status 0 when all is well, 1 when something is not.
    """
    from tapehouse_cli.platform.health import look

    try:
        found = look()
    except LaptopError as error:
        raise click.ClickException(str(error)) from error
    click.echo("\n".join(found.lines()))
    if not found.good:
        sys.exit(1)


@click.command("support-bundle")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The archive, .tar.gz  [default: tapehouse-support-<time>.tar.gz]",
)
def support_bundle(output: Path | None) -> None:
    """Write an archive for support, without secrets."""
    from tapehouse_cli.platform.bundle import write

    target = output or Path(f"tapehouse-support-{time.strftime('%Y%m%d-%H%M%S')}.tar.gz")
    try:
        count = write(target)
    except (LaptopError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{target}: {count} files; passwords, keys and tokens are left out")


commands = [prepare, up_command, demo_command, status, health, info, logs, support_bundle, down]
