"""The table of what runs: each component's state, process, log and endpoints, for all to see."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from tapehouse_laptop.state import State, read_json, write_json

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0
Phase = Literal["Starting", "Ready", "Failed", "Stopped"]


@dataclass(slots=True)
class Component:
    """One row: a process or a group of them, as `status`, `logs` and `info` show it."""

    name: str
    phase: Phase
    message: str = ""
    pids: dict[str, int] = field(default_factory=dict)
    """Process names to pids; `{"kafka": 4711}`."""
    log: str = ""
    metrics: str = ""
    """URL of Prometheus metrics, if any."""


class Components:
    """The supervisor's table; every change is written to `.tapehouse/run/components.json`."""

    def __init__(self, state: State) -> None:
        self._path = components_file(state)
        self._rows: dict[str, Component] = {}
        self._later: asyncio.TimerHandle | None = None

    @classmethod
    def fresh(cls, state: State) -> "Components":
        """An empty table, which replaces what an earlier run left."""
        table = cls(state)
        table._write()
        return table

    def set(
        self,
        name: str,
        phase: Phase,
        message: str = "",
        *,
        pids: Mapping[str, int] | None = None,
        log: Path | None = None,
        metrics: str | None = None,
    ) -> None:
        """Change a row; what is None stays as it was."""
        row = self._rows.setdefault(name, Component(name, phase))
        row.phase, row.message = phase, message
        if pids is not None:
            row.pids = dict(pids)
        if log is not None:
            row.log = str(log)
        if metrics is not None:
            row.metrics = metrics
        self._save()

    def remove(self, name: str) -> None:
        """Drop a row."""
        if self._rows.pop(name, None):
            self._save()

    def get(self, name: str) -> Component | None:
        """A row."""
        return self._rows.get(name)

    def _save(self) -> None:
        """Write the table, or later: no controller may end because the disk is full."""
        try:
            self._write()
        except OSError as error:
            if self._later is None:
                log.warning("%s: %s; written when it can be", self._path, error)
                self._later = asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._retry)

    def _retry(self) -> None:
        self._later = None
        self._save()

    def _write(self) -> None:
        rows: dict[str, Any] = {name: asdict(row) for name, row in self._rows.items()}
        write_json(self._path, rows)


def components_file(state: State) -> Path:
    """Where the table is."""
    return state.run / "components.json"


def read_components(state: State) -> dict[str, Component]:
    """The table as last written; empty when nothing runs."""
    rows = read_json(components_file(state)) or {}
    return {name: Component(**row) for name, row in rows.items()}
