"""A small disk, which a test can fill."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MIB = 2**20


@contextmanager
def small_disk(directory: Path, size: str) -> Iterator[Path]:
    """`directory` as a file system of its own, in memory; needs the right to mount."""
    options = ["-t", "tmpfs", "-o", f"size={size},mode=700", "tapehouse-test", directory]
    subprocess.run(["mount", *options], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Not a byte is left on `disk` during the block."""
    ballast = disk / "ballast"
    try:
        with ballast.open("wb") as file:
            for size in (64 * MIB, MIB, 4096):
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
        yield
    finally:
        ballast.unlink()
