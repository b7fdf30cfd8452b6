"""The program `tapehouse-operator`: run the operator, or print the RBAC it needs."""

import asyncio
import logging
import sys
from pathlib import Path

import click
import yaml

QUIET_LIBRARIES = {
    "kopf": logging.WARNING,
    "asyncio": logging.WARNING,
    "aiohttp.access": logging.WARNING,
    # A refused spec is an answer to its author, not an error of the operator.
    "kopf.objects": logging.CRITICAL,
    # It warns that it cannot take over the signals, which is why it runs in a thread.
    "kopf._core.reactor.running": logging.ERROR,
}
DEFAULT_ACCOUNT = "tapehouse-system/tapehouse-operator"
NAMESPACES = click.option(
    "--namespace", "-n", "namespaces", multiple=True, metavar="NS", help="Serve this namespace."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tapehouse-operator")
def main() -> None:
    """Run the operator, or print what it needs."""


@main.command()
@NAMESPACES
@click.option("--all-namespaces", "-A", is_flag=True, help="Serve every namespace.")
@click.option("--no-leader-election", is_flag=True, help="Run without a lease, as the only one.")
@click.option("--workers", default=16, show_default=True, help="Resources reconciled at a time.")
@click.option("--address", help="Where /healthz and /metrics listen  [default: $POD_IP, loopback]")
@click.option("--port", default=9104, show_default=True)
@click.option(
    "--admission-port", default=0, help="Where admission listens  [default: no admission]"
)
@click.option(
    "--admission-service", default="", metavar="NS/NAME", help="The Service in front of it."
)
@click.option("--log-level", default="INFO", show_default=True)
@click.option("--kubeconfig", type=click.Path(path_type=Path, exists=True))
def run(
    namespaces: tuple[str, ...],
    all_namespaces: bool,
    no_leader_election: bool,
    workers: int,
    address: str | None,
    port: int,
    admission_port: int,
    admission_service: str,
    log_level: str,
    kubeconfig: Path | None,
) -> None:
    """Reconcile resources until stopped."""
    from tapehouse_contracts.logs import configure_logs

    from tapehouse_operator.shell.run import run_operator
    from tapehouse_operator.shell.settings import Settings

    if bool(namespaces) == all_namespaces:
        raise click.UsageError("give either --namespace NS (repeatable) or --all-namespaces")
    configure_logs(log_level, QUIET_LIBRARIES)
    settings = Settings(
        namespaces=namespaces,
        leader_election=not no_leader_election,
        workers=workers,
        log_level=log_level,
        port=port,
        admission_port=admission_port,
        admission_service=admission_service,
        kubeconfig=kubeconfig,
        **({"address": address} if address else {}),
    )
    try:
        asyncio.run(run_operator(settings))
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error


@main.command()
@NAMESPACES
@click.option("--account", default=DEFAULT_ACCOUNT, show_default=True)
def rbac(namespaces: tuple[str, ...], account: str) -> None:
    """Print service account, role and binding as YAML: the least the operator must be allowed."""
    from tapehouse_operator.kinds import KINDS
    from tapehouse_operator.shell.rbac import manifests

    click.echo(yaml.safe_dump_all(manifests(KINDS, namespaces, account), sort_keys=False), nl=False)


if __name__ == "__main__":
    sys.exit(main())
