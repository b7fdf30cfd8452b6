"""The command `tapehouse`, also `kubectl tapehouse`."""

import os
import sys
from typing import Any

import click
from tapehouse_kube.errors import Rejected, Unavailable
from tapehouse_laptop.errors import LaptopError
from tapehouse_operator.__main__ import main as operator

from tapehouse_cli.data import commands as data
from tapehouse_cli.examples import add_examples
from tapehouse_cli.platform import commands as platform
from tapehouse_cli.resources import commands as resources
from tapehouse_cli.resources import feeds

EXPECTED = (Rejected, Unavailable, LaptopError, ValueError, OSError)
"""Failures that the user can act on; their text says how."""
PASSED_ON = (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError)
"""What click itself handles; a reader that goes away, as `head` does, ends a command quietly."""
TRACEBACK = "TAPEHOUSE_TRACEBACK"
INTERRUPTED = 130
"""The exit status of a program that Ctrl-C ended."""
GROUPS: dict[str, tuple[str, ...]] = {
    "Run the platform on this machine": ("prepare", "up", "demo", "down"),
    "See what runs": ("status", "health", "info", "logs", "support-bundle"),
    "Understand and change resources": (
        "plan",
        "why",
        "graph",
        "history",
        "rollback",
        "suspend",
        "resume",
        "repair",
    ),
    "Work with data": ("sql", "sample", "test", "gaps", "deadletters"),
    "The operator itself": ("operator",),
}
"""The sections of `tapehouse --help`, each with its commands in the order shown."""


class Tapehouse(click.Group):
    """A group that lists its commands by section and reports failures as one sentence."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section for each entry of `GROUPS`."""
        width = max(len(name) for names in GROUPS.values() for name in names)
        for title, names in GROUPS.items():
            rows = [(name.ljust(width), _summary(self.commands[name])) for name in names]
            with formatter.section(title):
                formatter.write_dl(rows)

    def make_context(self, info_name: str | None, *args: Any, **rest: Any) -> click.Context:
        """Use the name of the kubectl plugin as users type it."""
        name = "kubectl tapehouse" if info_name == "kubectl-tapehouse" else info_name
        return super().make_context(name, *args, **rest)

    def invoke(self, ctx: click.Context) -> Any:
        """Report a failure as one sentence; `TAPEHOUSE_TRACEBACK=1` shows the stack trace too."""
        try:
            return super().invoke(ctx)
        except PASSED_ON:
            raise
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        except Exception as e:
            if os.environ.get(TRACEBACK):
                raise
            raise click.ClickException(_sentence(e)) from e


@click.group(cls=Tapehouse, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tapehouse-cli")
def main() -> None:
    """Market-data pipelines as five Kubernetes resources."""


for command in (*resources.COMMANDS, *feeds.COMMANDS, *platform.commands, *data.commands):
    main.add_command(command)
main.add_command(operator, "operator")
for each in main.commands:
    add_examples(main.commands[each], each)


def _sentence(error: Exception) -> str:
    if isinstance(error, EXPECTED) and str(error):
        return str(error)
    text = " ".join(str(error).split())
    return (
        f"unexpected {type(error).__name__}: {text or 'no message'}; please report it with what "
        f"{TRACEBACK}=1 shows"
    )


def _summary(command: click.Command) -> str:
    """The first sentence of the command's help, as far as it fits the line."""
    return command.get_short_help_str(limit=60)


if __name__ == "__main__":
    sys.exit(main())
