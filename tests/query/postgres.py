"""A real PostgreSQL on a socket of its own: the machine's, else Debian's packages unpacked."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PACKAGES = ("postgresql-15", "libpq5", "libxml2", "libicu72", "libldap-2.5-0", "libsasl2-2")


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a new database for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="pg-") as home:  # paths of sockets must be short
        yield from _served(Path(home))


def _served(home: Path) -> Iterator[str]:
    binaries, libraries = _binaries(home)
    user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    data = home / "data"
    if user:
        shutil.chown(home, user)
        home.chmod(0o755)
    environment = {**os.environ, "LD_LIBRARY_PATH": libraries, "LC_ALL": "C.UTF-8"}
    with (home / "postgres.log").open("wb") as log:
        made = [binaries / "initdb", "-D", data, "-U", "tapehouse", "--auth=trust", "--no-sync"]
        subprocess.run(made, check=True, user=user, stdout=log, stderr=log, env=environment)
        process = subprocess.Popen(
            [binaries / "postgres", "-D", data, "-k", home, "-h", "", "-F", "-c", "jit=off"],
            user=user, stdout=log, stderr=log, env=environment,
        )  # fmt: skip
    try:
        _await(data / "postmaster.pid", process)
        yield f"postgresql://tapehouse@/postgres?host={home}"
    finally:
        process.terminate()
        process.wait(30)


def _await(status: Path, process: subprocess.Popen[bytes]) -> None:
    """The server says in its file when it is ready."""
    deadline = time.monotonic() + 60
    while not (status.exists() and "ready" in status.read_text()):
        assert process.poll() is None, (status.parents[1] / "postgres.log").read_text()
        assert time.monotonic() < deadline, "PostgreSQL does not start"
        time.sleep(0.05)


def _binaries(home: Path) -> tuple[Path, str]:
    """The folder of initdb and postgres, and where their libraries are."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent, ""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        return folder, ""
    packages, root = home / "packages", home / "root"
    packages.mkdir()
    subprocess.run(["apt-get", "download", *_PACKAGES], cwd=packages, check=True)
    for package in packages.iterdir():
        subprocess.run(["dpkg", "-x", str(package), str(root)], check=True)
    libraries = root / "usr" / "lib" / f"{os.uname().machine}-linux-gnu"
    return root / "usr/lib/postgresql/15/bin", str(libraries)
