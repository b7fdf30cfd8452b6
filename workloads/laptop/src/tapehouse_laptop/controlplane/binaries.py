"""Where etcd, the API server, its controllers and kubectl come from: found, or built once."""

import os
from dataclasses import dataclass
from pathlib import Path

from tapehouse_laptop import cache, toolchain
from tapehouse_laptop.errors import LaptopError

ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"
NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
VERSION = "1.34.4"
BUILD_SETTINGS = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}


@dataclass(frozen=True, slots=True)
class Binaries:
    """The directory that holds the programs in `NAMES`."""

    directory: Path

    def __getitem__(self, name: str) -> Path:
        return self.directory / name


def find_or_build(progress: cache.Progress = cache.silent) -> Binaries:
    """`$KUBEBUILDER_ASSETS` if all programs are there, else kubelite, built when not yet cached.

    Raises:
        LaptopError: Go cannot be had, or the build failed.
    """
    return from_assets() or Binaries(build(progress))


def from_assets() -> Binaries | None:
    """The programs in `$KUBEBUILDER_ASSETS`, if it is set and none is missing."""
    given = os.environ.get(ASSETS_VARIABLE)
    if not given or not all(os.access(Path(given) / name, os.X_OK) for name in NAMES):
        return None
    return Binaries(Path(given))


def build(progress: cache.Progress = cache.silent) -> Path:
    """The cached directory with kubelite and its names; about ten minutes the first time."""
    source = source_dir()
    inputs = [source / name for name in ("main.go", "go.mod", "go.sum")]
    digest = cache.digest_of(*inputs, VERSION, os.uname().sysname, os.uname().machine)
    return cache.entry("kubelite", digest, lambda to: _build(source, to, progress), progress)


def source_dir() -> Path:
    """kubelite's Go module: in the package when installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    for candidate in (package / "kubelite", package.parents[1] / "kubelite"):
        if (candidate / "go.mod").exists():
            return candidate
    raise LaptopError("kubelite's source is missing from this installation of tapehouse-laptop")


def _build(source: Path, target: Path, progress: cache.Progress) -> None:
    go = toolchain.go(progress)
    options = ["-v", "-trimpath", "-buildvcs=false", "-ldflags", _link_flags()]
    cache.run(
        [go, "build", *options, "-o", target / "kubelite", "."],
        task="kubelite",
        progress=progress,
        cwd=source,
        env=os.environ | BUILD_SETTINGS,
    )
    for name in NAMES:
        (target / name).symlink_to("kubelite")


def _link_flags() -> str:
    major, minor, _ = VERSION.split(".")
    values = {
        "gitVersion": f"v{VERSION}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    stamps = (f"-X {package}.{k}={v}" for package in packages for k, v in values.items())
    return " ".join(["-s", "-w", *stamps])
