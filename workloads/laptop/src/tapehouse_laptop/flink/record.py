"""What must be remembered of a job between two lives of the controller, and where its state is."""

import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tapehouse_laptop.flink.spec import STATELESS, Wanted
from tapehouse_laptop.state import read_json, write_json

METADATA = "_metadata"


@dataclass(slots=True)
class Record:
    """One job: its current attempt, and where to go on from.

    An attempt is written down before it is submitted, under a job id that is never used twice.
    Whatever happens then, its newest state is found by that id.
    """

    slot: int
    """Which address it has."""
    uid: str = ""
    """Of the resource the newest attempt was made for."""
    job_id: str = ""
    """The attempt; empty when none is to be thought running."""
    restore: str = ""
    """The state the attempt started from; empty for none."""
    savepoint: str = ""
    """Where the next attempt starts; empty for nowhere."""
    digest: str = ""
    """Of the spec the attempt was made from."""
    spec: dict[str, Any] = field(default_factory=dict)
    generation: int = 0
    savepoint_nonce: int | None = None
    redeploy_nonce: int | None = None
    started_ms: int = 0
    savepoints: list[dict[str, Any]] = field(default_factory=list)
    """Those asked for by nonce, newest last."""

    @classmethod
    def load(cls, path: Path) -> "Record | None":
        """The record in a file, if there is one."""
        raw = read_json(path)
        if raw is None:
            return None
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in raw.items() if name in known})

    def begin(self, wanted: Wanted) -> None:
        """Make a new attempt, from where the last one stopped.

        A resource created again goes on too, unless it says `stateless`.
        """
        if self.uid != wanted.uid:
            self.uid, self.savepoint_nonce = wanted.uid, wanted.savepoint_nonce
            goes_on = self.savepoint and wanted.upgrade_mode != STATELESS
            self.savepoint = self.savepoint if goes_on else wanted.initial_savepoint
        self.job_id, self.restore = uuid.uuid4().hex, self.savepoint
        self.digest, self.spec = wanted.digest, dict(wanted.spec)
        self.generation, self.started_ms = wanted.generation, now_ms()
        self.redeploy_nonce = wanted.redeploy_nonce

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        write_json(path, asdict(self))


def newest_state(record: Record, checkpoints: str, savepoints: str) -> str:
    """Where the job is to go on: its attempt's newest checkpoint or savepoint.

    Both directories are `file:` URIs. An attempt without any has changed nothing outside, so that
    it goes on from where it started. Nothing older is ever an answer: what was committed since
    would be committed again.
    """
    if not record.job_id:
        return record.savepoint
    found = [
        *_complete(local(checkpoints) / record.job_id, "chk-*"),
        *_complete(local(savepoints) / record.job_id, "savepoint-*"),
    ]
    if not found:
        return record.restore
    newest = max(found, key=lambda path: (path / METADATA).stat().st_mtime_ns)
    return newest.as_uri()


def _complete(directory: Path, pattern: str) -> Iterator[Path]:
    # Flink renames this file into place once all others are written.
    return (path for path in directory.glob(pattern) if (path / METADATA).is_file())


def local(uri: str) -> Path:
    """The path of a `file:` URI or a plain path.

    Raises:
        ValueError: another scheme.
    """
    scheme, colon, rest = uri.partition(":")
    if not colon:
        return Path(uri)
    if scheme != "file":
        raise ValueError(f"{uri!r}: on a laptop state is kept in files; write file:///…")
    return Path("/" + rest.lstrip("/"))


def now_ms() -> int:
    """The time in milliseconds."""
    return time.time_ns() // 1_000_000
