"""The command `tapehouse-query`."""

import asyncio
import logging
import os
import sys

import click
from tapehouse_contracts.logs import configure_logs

from tapehouse_query.server import serve as serve_forever
from tapehouse_query.settings import SettingsError, from_env

QUIET_LIBRARIES = dict.fromkeys(("pyiceberg", "urllib3", "kubernetes", "botocore"), logging.WARNING)
log = logging.getLogger(__name__)


@click.group()
def main() -> None:
    """Serve GraphQL and the console over the published tables."""


@main.command()
def serve() -> None:
    """Serve on POD_IP:8080 until a signal comes."""
    try:
        settings = from_env(os.environ)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    configure_logs(settings.log_level, QUIET_LIBRARIES)
    try:
        asyncio.run(serve_forever(settings))
    except KeyboardInterrupt:
        sys.exit(130)
