"""Showing progress: a table that changes in place on a terminal, lines elsewhere."""

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from tapehouse_cli.platform.status_view import COMPONENT, Row
from tapehouse_cli.platform.timeline import clock

MESSAGE_LIMIT = 200
LEAST_MESSAGE = 20
READY = "READY"
SPARE_LINES = 2
"""Below the table: what goes on, and the cursor."""
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
        self._console = console
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
        if not self._rows:
            self._live.update(self._note)
            return
        width, height = self._console.size
        lines = table(self._rows, width, height - SPARE_LINES)
        self._live.update(Group(*lines, self._note))


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


def table(rows: Iterable[Row], width: int | None, height: int | None = None) -> list[Text]:
    """Rows as lines of a table: KIND, NAME and READY whole, the message in the rest of the line.

    `width` cuts messages, and puts them on lines of their own where less than `LEAST_MESSAGE`
    columns are left; None is for output that is no terminal. With `height`, rows that are not
    ready come first and those that do not fit are counted in the last line.
    """
    rows = list(rows)
    ordered = sorted(rows, key=lambda row: row.kind != COMPONENT)
    hidden = 0
    if height is not None:
        ordered.sort(key=lambda row: row.ready)
        if len(ordered) > height - 1:
            hidden = len(ordered) - max(1, height - 2)
            ordered = ordered[:-hidden]
    cells = [("KIND", "NAME"), *((row.kind, row.name) for row in ordered)]
    widths = [max(len(cell[column]) for cell in cells) for column in (0, 1)]
    used = sum(widths) + len(READY) + 6
    drawn = [Text(f"{_names('KIND', 'NAME', widths)}{READY}  MESSAGE", style="bold")]
    for row in ordered:
        drawn += _row(row, widths, None if width is None else width - used)
    if hidden:
        waiting = sum(not row.ready for row in rows) - sum(not row.ready for row in ordered)
        more = (
            f"and {hidden} more, {waiting} of them not ready" if waiting else f"{hidden} more ready"
        )
        drawn.append(Text(more, style="dim"))
    return drawn


def _row(row: Row, widths: list[int], room: int | None) -> list[Text]:
    line = Text(_names(row.kind, row.name, widths), no_wrap=True)
    colour = "green" if row.ready else "red" if row.failed else "yellow"
    ready = str(row.ready)
    line.append(ready, style=colour)
    message = " ".join(row.message.split())
    if not message:
        return [line]
    if room is None or room >= LEAST_MESSAGE:
        line.append(" " * (len(READY) + 2 - len(ready)))
        line.append(message if room is None else brief(message, room), style="dim")
        return [line]
    return [line, Text(f"  {message}", style="dim")]


def _names(kind: str, name: str, widths: list[int]) -> str:
    return f"{kind:<{widths[0]}}  {name:<{widths[1]}}  "


def brief(message: str, limit: int = MESSAGE_LIMIT) -> str:
    """A message on one line, cut where it gets longer than `limit`."""
    line = " ".join(message.split())
    return line if len(line) <= limit else f"{line[: limit - 2]} …"
