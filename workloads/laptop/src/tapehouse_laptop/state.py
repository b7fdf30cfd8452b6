"""Where an installation keeps its files: `.tapehouse/`, and how they are written."""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DIRECTORY = ".tapehouse"
HOME_VARIABLE = "TAPEHOUSE_HOME"
INSTALLATION = "installation.json"
"""What runs here, as the supervisor writes it."""


@dataclass(frozen=True, slots=True)
class State:
    """The state directory of one installation."""

    root: Path

    @classmethod
    def find(cls) -> "State":
        """`$TAPEHOUSE_HOME`, else the nearest `.tapehouse` from the working directory upwards.

        Where there is none, the one that `up` would create in the working directory.
        """
        if given := os.environ.get(HOME_VARIABLE):
            return cls(Path(given).absolute())
        here = Path.cwd()
        candidates = (each / DIRECTORY for each in (here, *here.parents))
        found = (each for each in candidates if (each / INSTALLATION).exists())
        return cls(next(found, here / DIRECTORY))

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "kubeconfig"

    @property
    def data(self) -> Path:
        """What must outlive restarts: etcd, broker logs, warehouse, checkpoints."""
        return self.root / "data"

    @property
    def logs(self) -> Path:
        """Log files of components, and of Pods under their namespace."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """Pid files and the table of components; void when nothing runs."""
        return self.root / "run"

    @property
    def pods(self) -> Path:
        """Root directories of Pods, by uid."""
        return self.root / "pods"

    @property
    def pki(self) -> Path:
        """Certificates and keys of the control plane."""
        return self.root / "pki"

    def ensure(self) -> None:
        """Make the directories; only the user may read them."""
        for path in (self.root, self.data, self.logs, self.run, self.pods, self.pki):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)


def write_atomically(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Replace `path`: readers see the old content or the new, never a part."""
    raw = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Replace `path` with a JSON document."""
    write_atomically(path, json.dumps(value, indent=1, sort_keys=True))


def read_json(path: Path) -> Any:
    """The JSON document in `path`, or None where there is none."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
