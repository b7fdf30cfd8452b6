"""What is asked of a namespace: `plan`, `history`, `rollback`, `suspend`, `resume`, `why`, `graph`.

What a command needs is imported when it runs: `--help` must not wait for it.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tapehouse_cli.target import Target, targeted

if TYPE_CHECKING:
    from tapehouse_operator.kinds.contract import Key

    from tapehouse_cli.resources.snapshot import Snapshot

T = TypeVar("T")
TARGET = click.argument("target", metavar="KIND/NAME")


@click.command()
@click.option("--filename", "-f", "path", required=True, type=click.Path(path_type=Path))
@click.option("--catalog", metavar="URI", default="", help="Not the environment's address.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--detailed-exitcode", is_flag=True, help="Status 2 when something would change.")
@targeted
def plan(path: Path, catalog: str, as_json: bool, detailed_exitcode: bool, cluster: Target) -> None:
    """Show what applying PATH would change, restart or lose.

    For each resource, and for those that follow: its class of change (none, in place, restart,
    savepoint, revision, create, waits, refused), the children and tables that change, what is
    lost, and how long there is no new output.

    Status 0 when it can be applied, 1 when a resource would be refused.
    """
    from tapehouse_cli.resources.documents import read_documents
    from tapehouse_cli.resources.plan import lines
    from tapehouse_cli.resources.planning import plan_everywhere

    plans = asyncio.run(plan_everywhere(cluster, read_documents(path), catalog))
    if as_json:
        click.echo(json.dumps([one.document() for one in plans], indent=2, default=str))
    else:
        click.echo("\n".join(lines(plans)) if plans else f"no Tapehouse resources in {path}")
    if any(one.change == "refused" for one in plans):
        sys.exit(1)
    if detailed_exitcode and any(one.changes_something for one in plans):
        sys.exit(2)


@click.command()
@TARGET
@targeted
def history(target: str, cluster: Target) -> None:
    """Show revisions of a resource and their differences."""
    from tapehouse_cli.resources import verbs

    rows = _on_snapshot(cluster, lambda s: verbs.history(s, _key(s, target)))
    if not rows:
        click.echo(f"no revision of {target} has been accepted yet")
    for row in rows:
        mark = "*" if row.is_current else " "
        changed = ", ".join(row.changed) or "-"
        number, digest = row.revision.number, row.revision.digest[:12]
        click.echo(f"{mark} {number:>5}  {row.created:<20}  {digest}  {changed}")


@click.command()
@TARGET
@click.argument("number", type=int)
@targeted
def rollback(target: str, number: int, cluster: Target) -> None:
    """Restore the spec of revision NUMBER as a new revision."""
    from tapehouse_cli.resources import verbs

    _on_snapshot(cluster, lambda s: verbs.rollback(s, _key(s, target), number))
    click.echo(
        f"{target} has the spec of revision {number}; the next one that is applied replaces it"
    )


@click.command()
@TARGET
@targeted
def suspend(target: str, cluster: Target) -> None:
    """Stop a resource's workload and keep everything else."""
    _set_suspended(target, cluster, suspended=True)


@click.command()
@TARGET
@targeted
def resume(target: str, cluster: Target) -> None:
    """Resume a suspended workload where it stopped."""
    _set_suspended(target, cluster, suspended=False)


@click.command()
@TARGET
@targeted
def repair(target: str, cluster: Target) -> None:
    """Restart a CommitStalled job from its last commit."""
    from tapehouse_cli.resources.repair import repair as start_again

    path = _on_snapshot(cluster, lambda s: start_again(s, _key(s, target)))
    click.echo(f"{target} starts again from {path}")


@click.command()
@TARGET
@targeted
def why(target: str, cluster: Target) -> None:
    """Show the chain of causes why a resource is not Ready."""
    from tapehouse_cli.resources.graph import build_graph
    from tapehouse_cli.resources.why import causes

    async def answer(snapshot: "Snapshot") -> list[str]:
        return await causes(snapshot, await build_graph(snapshot), _key(snapshot, target))

    click.echo("\n".join(_on_snapshot(cluster, answer)))


FORMATS = ("text", "dot", "mermaid", "svg")


@click.command(name="graph")
@click.option("--output", "-o", metavar="FILE", help="An SVG picture, or .dot, .mmd by its name.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="Of what is printed or written.")
@targeted
def show_graph(output: str | None, form: str | None, cluster: Target) -> None:
    """Draw feeds, topics, jobs and tables with their state."""
    from tapehouse_cli.resources import graph, pictures

    built = _on_snapshot(cluster, graph.build_graph)
    form = form or pictures.format_of(output)
    text = "\n".join(graph.tree(built)) if form == "text" else pictures.draw(built, form)
    if output and output != "-":
        Path(output).write_text(text + "\n", encoding="utf-8")
        click.echo(f"{output}: {len(built.nodes)} resources")
    else:
        click.echo(text)


def _set_suspended(target: str, cluster: Target, *, suspended: bool) -> None:
    from tapehouse_cli.resources import verbs

    changed = _on_snapshot(cluster, lambda s: verbs.set_suspended(s, _key(s, target), suspended))
    word = "suspended" if suspended else "not suspended"
    click.echo(f"{target} {'is' if changed else 'was'} {word}{'' if changed else ' already'}")


def _key(snapshot: "Snapshot", target: str) -> "Key":
    from tapehouse_cli.resources.verbs import find_key

    return find_key(tuple(snapshot.kinds.values()), target, snapshot.namespace)


def _on_snapshot(cluster: Target, act: Callable[["Snapshot"], Coroutine[Any, Any, T]]) -> T:
    from tapehouse_operator.kinds import KINDS

    from tapehouse_cli.resources.snapshot import Snapshot
    from tapehouse_cli.target import connected

    async def run() -> T:
        async with connected(cluster) as (kube, where):
            return await act(await Snapshot(kube, KINDS, where).load())

    return asyncio.run(run())


COMMANDS = (plan, history, rollback, suspend, resume, repair, why, show_graph)
