"""Files and environment of a deployment's processes, as its Pod template says."""

import contextlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tapehouse_laptop.flink.spec import Wanted
from tapehouse_laptop.node.environment import Surroundings, environment
from tapehouse_laptop.node.sources import Sources
from tapehouse_laptop.node.volumes import Volumes
from tapehouse_laptop.state import State

INHERITED = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "JAVA_HOME")


@dataclass(frozen=True, slots=True)
class Place:
    """The directories of one deployment."""

    home: Path

    @classmethod
    def of(cls, state: State, wanted: Wanted) -> "Place":
        """Below the state directory; void when nothing runs."""
        return cls(state.root / "flink" / wanted.key.namespace / wanted.key.name)

    @property
    def root(self) -> Path:
        """`TAPEHOUSE_ROOT` of its processes."""
        return self.home / "root"

    @property
    def conf(self) -> Path:
        """`FLINK_CONF_DIR`."""
        return self.home / "conf"

    @property
    def scratch(self) -> Path:
        """Spilled and temporary files."""
        return self.home / "tmp"

    @property
    def options(self) -> Path:
        """Flink settings of the submission, as a JSON file."""
        return self.home / "submission.json"

    @property
    def termination_log(self) -> Path:
        """Where the runner says why it failed."""
        return self.root / "dev" / "termination-log"

    def clear(self) -> None:
        """Start with nothing an earlier attempt left."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.home)
        for path in (self.conf, self.scratch, self.termination_log.parent):
            path.mkdir(parents=True)


def lay_out(
    wanted: Wanted, place: Place, sources: Sources, address: str, data: Path
) -> dict[str, str]:
    """Write the Pod's volumes below its root; returns its environment.

    Raises:
        SourceError: a ConfigMap, Secret or key is missing.
    """
    pod, container = wanted.pod(), wanted.container()
    volumes = Volumes(pod, place.home / "volumes", sources, address, lambda _: b"")
    volumes.refresh()
    volumes.mount(container, place.root)
    fixed = {"TAPEHOUSE_ROOT": str(place.root), "TAPEHOUSE_DATA": str(data)}
    return environment(container, Surroundings(pod, address, sources, _inherited(), fixed))


def _inherited() -> Mapping[str, str]:
    return {name: os.environ[name] for name in INHERITED if name in os.environ}
