"""Showing progress: a table that changes in place on a terminal, lines elsewhere."""

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tapehouse_cli.platform.status_view import COMPONENT, Row
from tapehouse_cli.platform.timeline import clock

MESSAGE_LIMIT = 200
WIDTH = 160
"""Of tables that do not go to a terminal."""
REPEAT_SECONDS = 10.0
"""Lines are written again after so long without a change, so that silence means nothing hangs."""


class Screen(Protocol):
    """Where `up` shows what it does."""

    def note(self, task: str, detail: str) -> None:
        """Show how far a step is."""

    def rows(self, rows: list[Row]) -> None:
        """Show the state of everything."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def console() -> Console:
    """Standard output; wide where it is not a terminal."""
    found = Console()
    return found if found.is_terminal else Console(width=WIDTH)


def screen(console: Console) -> Screen:
    """The right one for where output goes."""
    return Panel(console) if console.is_terminal else Lines(console)


class Panel:
    """A table on a terminal."""

    def __init__(self, console: Console) -> None:
        self._started = time.monotonic()
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._note = Text()
        self._rows: list[Row] = []

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def note(self, task: str, detail: str) -> None:
        """Show how far a step is."""
        self._note = Text(f"{task}: {detail}", style="dim", no_wrap=True, overflow="ellipsis")
        self._draw()

    def rows(self, rows: list[Row]) -> None:
        """Show the state of everything."""
        self._rows = rows
        waiting = sum(not row.ready for row in rows)
        self.note(_elapsed(self._started), f"{len(rows) - waiting} of {len(rows)} ready")

    def _draw(self) -> None:
        self._live.update(Group(table(self._rows), self._note) if self._rows else self._note)


class Lines:
    """One line per change."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._shown: dict[tuple[str, str], str] = {}
        self._last = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return

    def note(self, task: str, detail: str) -> None:
        """Show how far a step is, at most every two seconds."""
        now = time.monotonic()
        if now - self._last >= 2 or (task, "") not in self._shown:
            self._shown[task, ""] = detail
            self._print(f"{task}: {detail}")

    def rows(self, rows: list[Row]) -> None:
        """Show what has changed."""
        for row in rows:
            said = f"{'ready' if row.ready else 'waiting'} {row.message}".strip()
            if self._shown.get((row.kind, row.name)) != said:
                self._shown[row.kind, row.name] = said
                self._print(f"{row.kind} {row.name}: {brief(said)}")
        waiting = [row.name for row in rows if not row.ready]
        if waiting and time.monotonic() - self._last > REPEAT_SECONDS:
            self._print(f"still waiting for {', '.join(waiting)}")

    def _print(self, line: str) -> None:
        self._last = time.monotonic()
        stamp = _elapsed(self._started)
        self._console.print(f"[{stamp}] {line}", markup=False, highlight=False, soft_wrap=True)


def _elapsed(started: float) -> str:
    return clock(time.monotonic() - started)


def table(rows: Iterable[Row]) -> Table:
    """Rows as a table, components apart from resources."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    ordered = sorted(rows, key=lambda row: row.kind != COMPONENT)
    drawn.add_column("KIND", no_wrap=True)
    drawn.add_column("NAME", no_wrap=True, min_width=max((len(r.name) for r in ordered), default=4))
    drawn.add_column("READY", no_wrap=True, min_width=5)
    drawn.add_column("MESSAGE", overflow="ellipsis", no_wrap=True, style="dim", ratio=1)
    for row in ordered:
        colour = "green" if row.ready else "red" if row.failed else "yellow"
        mark = Text("True" if row.ready else "False", style=colour)
        drawn.add_row(row.kind, row.name, mark, Text(brief(row.message)))
    return drawn


def brief(message: str) -> str:
    """A message on one line, cut where it gets long."""
    line = " ".join(message.split())
    return line if len(line) <= MESSAGE_LIMIT else f"{line[: MESSAGE_LIMIT - 2]} …"
