"""What took how long: the moment at which each thing was ready for the first time."""

import time
from collections.abc import Iterable

from rich.table import Table

from tapehouse_cli.platform.status_view import COMPONENT, Row

Step = tuple[str, str]
"""Kind and name."""


class Timeline:
    """Moments since it was made, in seconds."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._moments: dict[Step, float] = {}

    def mark(self, kind: str, name: str) -> None:
        """This has been reached; only the first time counts."""
        self._moments.setdefault((kind, name), time.monotonic() - self._started)

    def rows(self, rows: Iterable[Row]) -> None:
        """Mark what is ready."""
        for row in rows:
            if row.ready:
                self.mark(row.kind, row.name)

    def table(self) -> Table:
        """One line per component and per kind of resource, in the order of the last ones."""
        drawn = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("READY AFTER", "WHAT"):
            drawn.add_column(heading, no_wrap=True)
        groups: dict[str, list[tuple[float, str]]] = {}
        for (kind, name), moment in self._moments.items():
            alone = f"{kind} {name}"
            groups.setdefault(alone if kind == COMPONENT else kind, []).append((moment, name))
        for kind, found in sorted(groups.items(), key=lambda group: max(group[1])):
            moment, last = max(found)
            some = f"{len(found)} {kind}s, {last} the last"
            single = kind if kind.endswith(last) else f"{kind} {last}"
            drawn.add_row(clock(moment), some if len(found) > 1 else single)
        return drawn


def clock(seconds: float) -> str:
    """Minutes and seconds, `1:07`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
