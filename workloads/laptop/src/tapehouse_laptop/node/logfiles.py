"""Log files: kept from growing without bound."""

import shutil
import time
from pathlib import Path

LIMIT = 10 * 2**20
"""Bytes at which a log is rotated; one older generation is kept, as `<name>.1`."""
KEEP_SECONDS = 7 * 86400
ROTATE_EVERY = 30.0


def rotate(directory: Path, limit: int = LIMIT) -> list[Path]:
    """Rotate every log in `directory` that has outgrown the limit; which ones.

    The writer keeps its open file, in append mode: the content is copied and the file emptied.
    """
    rotated = []
    for path in directory.rglob("*.log"):
        if path.stat().st_size > limit:
            shutil.copyfile(path, path.with_name(f"{path.name}.1"))
            with path.open("r+b") as file:
                file.truncate(0)
            rotated.append(path)
    return rotated


def prune(directory: Path, keep_seconds: float = KEEP_SECONDS) -> None:
    """Remove logs nobody has written to for so long, and the directories they leave empty."""
    oldest = time.time() - keep_seconds
    for path in sorted(directory.rglob("*"), reverse=True):
        if path.is_file() and path.stat().st_mtime < oldest:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
