"""A control plane alone, until it is interrupted: `python -m tapehouse_laptop.controlplane`.

Prints the kubeconfig's path once everything is ready.
"""

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import click

from tapehouse_laptop.components import Components
from tapehouse_laptop.controlplane import binaries
from tapehouse_laptop.controlplane.plane import ControlPlane
from tapehouse_laptop.errors import LaptopError
from tapehouse_laptop.net import Net
from tapehouse_laptop.processes import sweep
from tapehouse_laptop.state import State


async def serve(plane: ControlPlane) -> None:
    """Run until SIGTERM or SIGINT."""
    finished = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, finished.set)
    starting = asyncio.create_task(plane.start())
    waiting = asyncio.create_task(finished.wait())
    try:
        await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            click.echo(plane.state.kubeconfig)
            await waiting
    finally:
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError, LaptopError):
            await starting
        await plane.stop()


@click.command()
@click.option("--state", required=True, type=click.Path(path_type=Path), help="State directory.")
@click.option("--net", required=True, help="Loopback range, as in 127.77.0.0/16.")
def main(state: Path, net: str) -> None:
    """Run etcd, API server, controller manager and scheduler on a loopback address."""
    where = State(state.absolute())
    where.ensure()
    try:
        programs = binaries.find_or_build(lambda task, detail: click.echo(f"{task}: {detail}"))
        sweep(where)
        asyncio.run(serve(ControlPlane(where, Net.parse(net), programs, Components(where))))
    except (LaptopError, ValueError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
