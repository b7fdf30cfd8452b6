"""`tapehouse logs`: finding the files of a name, and following them."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tapehouse_laptop.components import read_components
from tapehouse_laptop.errors import LaptopError
from tapehouse_laptop.state import State

from tapehouse_cli.names import no_such

POLL_SECONDS = 0.5
KINDS = {
    "component",
    "pod",
    "deployment",
    "kafka",
    "flinkdeployment",
    "tradefeed",
    "streamjob",
    "lakehousetable",
}
ALIASES = {"apiserver": "kube-apiserver", "scheduler": "kube-scheduler"}


@dataclass(slots=True)
class Log:
    """A file and how far it was read."""

    label: str
    path: Path
    offset: int = 0

    def read(self) -> list[str]:
        """The whole lines written since the last call."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, 2)
                if size < self.offset:  # rotated
                    self.offset = 0
                file.seek(self.offset)
                raw = file.read()
        except FileNotFoundError:
            return []
        whole = raw[: raw.rfind(b"\n") + 1]
        self.offset += len(whole)
        return whole.decode(errors="replace").splitlines()


def find(state: State, name: str) -> list[Log]:
    """The logs of a component, Pod, Deployment or resource.

    Raises:
        LaptopError: nothing of this name has a log; lists what has.
    """
    kind, slash, rest = name.partition("/")
    wanted = rest if slash and kind.lower() in KINDS else name
    wanted = ALIASES.get(wanted, wanted)
    logs = {path: _label(state, path) for path in sorted(state.logs.rglob("*.log"))}
    logs |= {Path(row.log): row.name for row in read_components(state).values() if row.log}
    for matches in (_exactly, _as_prefix):
        found = [Log(label, path) for path, label in logs.items() if matches(label, wanted)]
        if found:
            return found
    known = {label.split("/")[-2] if label.count("/") > 1 else label for label in logs.values()}
    raise LaptopError(no_such("log", name, str(state.logs), known))


def _label(state: State, path: Path) -> str:
    return str(path.relative_to(state.logs).with_suffix(""))


def _exactly(label: str, wanted: str) -> bool:
    return label == wanted or wanted in label.split("/") or label.endswith(f"/{wanted}")


def _as_prefix(label: str, wanted: str) -> bool:
    return any(
        part.startswith(f"{wanted}-") or part.endswith(f"-{wanted}") for part in label.split("/")
    )


def show(logs: list[Log], lines: int, write: Callable[[str], None]) -> None:
    """Write the last lines of each log."""
    for log, line in _labelled(logs, lines):
        write(f"{log.label} | {line}" if len(logs) > 1 else line)


def _labelled(logs: list[Log], lines: int) -> Iterator[tuple[Log, str]]:
    for log in logs:
        for line in log.read()[-lines:]:
            yield log, line


def follow(logs: list[Log], write: Callable[[str], None]) -> None:
    """Write lines as they come, until interrupted."""
    while True:
        show(logs, 1000, write)
        time.sleep(POLL_SECONDS)


def labels(logs: Iterable[Log]) -> list[str]:
    """What was found."""
    return [log.label for log in logs]
