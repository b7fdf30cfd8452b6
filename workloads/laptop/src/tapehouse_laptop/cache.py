"""What is downloaded or built once per machine: `~/.cache/tapehouse`."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from tapehouse_laptop.errors import LaptopError

Progress = Callable[[str, str], None]
"""Called with what is being prepared and how far it is, at least every two seconds."""
TAIL = 15


def silent(task: str, detail: str) -> None:
    """Progress that nobody watches."""


def cache_dir() -> Path:
    """`$XDG_CACHE_HOME/tapehouse`, by default `~/.cache/tapehouse`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tapehouse"


def digest_of(*inputs: str | bytes | Path) -> str:
    """16 hexadecimal digits over strings, bytes and contents of files."""
    total = hashlib.sha256()
    for item in inputs:
        raw = item.read_bytes() if isinstance(item, Path) else item
        total.update(hashlib.sha256(raw.encode() if isinstance(raw, str) else raw).digest())
    return total.hexdigest()[:16]


def entry(
    name: str, digest: str, build: Callable[[Path], None], progress: Progress = silent
) -> Path:
    """The directory `<name>-<digest>`, which `build` fills when it is not there yet.

    It appears whole or not at all; of several processes one builds and the others wait.
    """
    root = cache_dir()
    target = root / f"{name}-{digest}"
    if target.is_dir():
        return target
    root.mkdir(parents=True, exist_ok=True)
    lock = _locked(root / f"{name}.lock", name, progress)
    try:
        if not target.is_dir():
            _build(root, target, build)
    finally:
        lock.release()
    return target


def _locked(path: Path, name: str, progress: Progress) -> FileLock:
    lock = FileLock(path)
    started = time.monotonic()
    while True:
        try:
            lock.acquire(timeout=1)
        except Timeout:
            waited = time.monotonic() - started
            progress(name, f"another process prepares it, waiting {waited:.0f} s")
        else:
            return lock


def _build(root: Path, target: Path, build: Callable[[Path], None]) -> None:
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=root))
    try:
        build(scratch)
        scratch.chmod(0o755)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def run(
    argv: Sequence[str | Path],
    *,
    task: str,
    progress: Progress,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a build or download to its end and show its last line of output meanwhile.

    Raises:
        LaptopError: it failed; the message carries the end of its output.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        try:
            child = subprocess.Popen(
                [str(arg) for arg in argv],
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise LaptopError(f"{task}: cannot run {argv[0]}: {error.strerror}") from error
        with child:
            _follow(child, output.fileno(), task, progress, started)
        if child.returncode:
            output.seek(0)
            tail = "\n  ".join(output.read().splitlines()[-TAIL:])
            raise LaptopError(f"{task}: {argv[0]} failed ({child.returncode}):\n  {tail}")


def _follow(
    child: subprocess.Popen[bytes], output: int, task: str, progress: Progress, started: float
) -> None:
    try:
        while True:
            try:
                child.wait(timeout=1)
            except subprocess.TimeoutExpired:
                elapsed = time.monotonic() - started
                progress(task, f"{elapsed:.0f} s{_glance(output)}")
            else:
                return
    except BaseException:
        child.kill()
        raise


def _glance(output: int) -> str:
    text = os.pread(output, os.fstat(output).st_size, 0)
    lines = text.decode(errors="replace").splitlines()
    return f", step {len(lines)}: {lines[-1].strip()[:80]}" if lines else ""
