"""The command `tapehouse`, also `kubectl tapehouse`."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import yaml

from tapehouse_operator.errors import Rejected, Unavailable

if TYPE_CHECKING:
    from tapehouse_operator.kinds.contract import Key
    from tapehouse_operator.shell.snapshot import Snapshot

T = TypeVar("T")
ENTRY_POINTS = "tapehouse.commands"
"""Other packages add commands here: an entry is a list of click commands, or makes one."""


class Tapehouse(click.Group):
    """Commands of this package and of every other that adds some."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted({*super().list_commands(ctx), *_added()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command by its name."""
        return super().get_command(ctx, cmd_name) or _added().get(cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Failures that a user can act on are one sentence."""
        try:
            return super().invoke(ctx)
        except (Rejected, Unavailable, FileNotFoundError, ValueError, OSError) as e:
            raise click.ClickException(str(e)) from e


@click.group(cls=Tapehouse, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tapehouse-operator")
def main() -> None:
    """Market-data pipelines as five Kubernetes resources."""


@main.group()
def operator() -> None:
    """Run the operator, or print what it needs."""


NAMESPACES = click.option(
    "--namespace", "-n", "namespaces", multiple=True, metavar="NS", help="Serve this namespace."
)


@operator.command()
@NAMESPACES
@click.option("--all-namespaces", "-A", is_flag=True, help="Serve every namespace.")
@click.option("--no-leader-election", is_flag=True, help="Be the only one, without a lease.")
@click.option("--workers", default=16, show_default=True, help="Resources worked on at a time.")
@click.option("--address", help="Where /healthz and /metrics listen  [default: $POD_IP, loopback]")
@click.option("--port", default=9104, show_default=True)
@click.option("--log-level", default="INFO", show_default=True)
@click.option("--kubeconfig", type=click.Path(path_type=Path, exists=True))
def run(
    namespaces: tuple[str, ...],
    all_namespaces: bool,
    no_leader_election: bool,
    workers: int,
    address: str | None,
    port: int,
    log_level: str,
    kubeconfig: Path | None,
) -> None:
    """Reconcile resources until told to stop."""
    from tapehouse_operator.shell.logs import configure_logs
    from tapehouse_operator.shell.run import run_operator
    from tapehouse_operator.shell.settings import Settings

    if bool(namespaces) == all_namespaces:
        raise click.UsageError("say which: --namespace NS (repeatable) or --all-namespaces")
    configure_logs(log_level)
    settings = Settings(
        namespaces=namespaces,
        leader_election=not no_leader_election,
        workers=workers,
        log_level=log_level,
        port=port,
        kubeconfig=kubeconfig,
        **({"address": address} if address else {}),
    )
    asyncio.run(run_operator(settings))


@operator.command()
@NAMESPACES
@click.option("--account", default="tapehouse-system/tapehouse-operator", show_default=True)
def rbac(namespaces: tuple[str, ...], account: str) -> None:
    """Print service account, role and binding as YAML: the least the operator must be allowed."""
    from tapehouse_operator.kinds import KINDS
    from tapehouse_operator.shell.rbac import manifests

    click.echo(yaml.safe_dump_all(manifests(KINDS, namespaces, account), sort_keys=False))


NAMESPACE = click.option("--namespace", "-n", default="", metavar="NS", help="Not the context's.")
TARGET = click.argument("target", metavar="KIND/NAME")


@main.command()
@click.option("--filename", "-f", "path", required=True, type=click.Path(path_type=Path))
@NAMESPACE
def plan(path: Path, namespace: str) -> None:
    """Say what applying the resources in a file or directory would do; nothing is written.

    Ends with status 1 when one of them would be refused.
    """
    from tapehouse_operator.shell.plan import lines, make_plans, read_documents

    documents = read_documents(path)
    plans = _on_snapshot(namespace, lambda snapshot: make_plans(snapshot, documents))
    click.echo("\n".join(lines(plans)) or f"no Tapehouse resources in {path}")
    if any(one.change == "refused" for one in plans):
        sys.exit(1)


@main.command()
@TARGET
@NAMESPACE
def history(target: str, namespace: str) -> None:
    """Show the revisions of a resource and what changed between them."""
    from tapehouse_operator.shell import verbs

    rows = _on_snapshot(namespace, lambda s: verbs.history(s, _key(s, target)))
    for row in rows:
        mark = "*" if row.is_current else " "
        changed = ", ".join(row.changed) or "-"
        click.echo(f"{mark} {row.revision.number:>5}  {row.revision.digest[:12]}  {changed}")


@main.command()
@TARGET
@click.argument("number", type=int)
@NAMESPACE
def rollback(target: str, number: int, namespace: str) -> None:
    """Give a resource the spec of revision NUMBER again, as a new revision."""
    from tapehouse_operator.shell import verbs

    _on_snapshot(namespace, lambda s: verbs.rollback(s, _key(s, target), number))
    click.echo(
        f"{target} has the spec of revision {number}; the next one that is applied replaces it"
    )


@main.command()
@TARGET
@NAMESPACE
def suspend(target: str, namespace: str) -> None:
    """Stop a resource's workload and keep everything else."""
    _set_suspended(target, namespace, suspended=True)


@main.command()
@TARGET
@NAMESPACE
def resume(target: str, namespace: str) -> None:
    """Let a suspended workload go on where it stopped."""
    _set_suspended(target, namespace, suspended=False)


@main.command()
@TARGET
@NAMESPACE
def why(target: str, namespace: str) -> None:
    """Say why a resource is not Ready, from cause to cause."""
    from tapehouse_operator.shell import graph

    async def answer(snapshot: "Snapshot") -> list[str]:
        built = await graph.build_graph(snapshot)
        return await graph.why(snapshot, built, _key(snapshot, target))

    click.echo("\n".join(_on_snapshot(namespace, answer)))


@main.command(name="graph")
@NAMESPACE
@click.option("--dot", is_flag=True, help="For Graphviz: tapehouse graph --dot | dot -Tsvg")
def show_graph(namespace: str, dot: bool) -> None:
    """Show how feeds, jobs, tables, suites and dashboards hang together, and their state."""
    from tapehouse_operator.shell import graph

    built = _on_snapshot(namespace, graph.build_graph)
    click.echo("\n".join(graph.dot(built) if dot else graph.tree(built)))


def _set_suspended(target: str, namespace: str, *, suspended: bool) -> None:
    from tapehouse_operator.shell import verbs

    async def act(snapshot: "Snapshot") -> None:
        await verbs.set_suspended(snapshot.kube, _key(snapshot, target), suspended)

    _on_snapshot(namespace, act)
    click.echo(f"{target} {'is suspended' if suspended else 'goes on'}")


def _key(snapshot: "Snapshot", target: str) -> "Key":
    from tapehouse_operator.shell.verbs import find_key

    return find_key(tuple(snapshot.kinds.values()), target, snapshot.namespace)


def _on_snapshot(namespace: str, act: Callable[["Snapshot"], Coroutine[Any, Any, T]]) -> T:
    from tapehouse_operator.kinds import KINDS
    from tapehouse_operator.shell.snapshot import Snapshot
    from tapehouse_operator.shell.verbs import connected

    async def run() -> T:
        async with connected(namespace) as (kube, where):
            return await act(await Snapshot(kube, KINDS, where).load())

    return asyncio.run(run())


def _added() -> dict[str, click.Command]:
    commands: dict[str, click.Command] = {}
    for entry in entry_points(group=ENTRY_POINTS):
        for command in _loaded(entry):
            commands[command.name or ""] = command
    return commands


def _loaded(entry: EntryPoint) -> Iterable[click.Command]:
    """What one package adds; one that is broken says so and spoils nothing else."""
    try:
        found: Iterable[click.Command] | Callable[[], Iterable[click.Command]] = entry.load()
        return tuple(found() if callable(found) else found)
    except Exception as e:
        click.echo(f"commands of {entry.value} are not available: {e}", err=True)
        return ()


if __name__ == "__main__":
    sys.exit(main())
