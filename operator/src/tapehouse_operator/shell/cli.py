"""The command `tapehouse`, also `kubectl tapehouse`."""

import asyncio
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import click
import yaml

from tapehouse_operator.errors import Rejected, Unavailable
from tapehouse_operator.shell import feeds
from tapehouse_operator.shell.commands import COMMANDS

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

    def make_context(self, info_name: str | None, *args: Any, **rest: Any) -> click.Context:
        """As a plugin of kubectl it is called by another name than users do."""
        name = "kubectl tapehouse" if info_name == "kubectl-tapehouse" else info_name
        return super().make_context(name, *args, **rest)

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


for command in (*COMMANDS, *feeds.COMMANDS):
    main.add_command(command)


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
