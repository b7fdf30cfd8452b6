"""A directory of resources: rendered, checked, and what it says about the installation."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tapehouse_laptop.errors import LaptopError
from tapehouse_laptop.kubeapi import Manifest
from tapehouse_laptop.net import Net

KUSTOMIZATION = "kustomization.yaml"
SETTINGS = "tapehouse-platform"
NETWORK = "podNetwork"
DEFAULT_NETWORK = "127.77.0.0/16"
DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class Directory:
    """What `up` applies."""

    path: Path
    manifests: tuple[Manifest, ...]

    @classmethod
    def read(cls, path: Path, kubectl: Path) -> "Directory":
        """Render `path`, with kustomize where it has a kustomization.

        Raises:
            LaptopError: no such directory, or a file in it is not right; names file and line.
        """
        check_files(path)
        if (path / KUSTOMIZATION).exists():
            documents = _kustomized(path, kubectl)
        else:
            documents = [doc for file in sorted(path.glob("*.y*ml")) for doc in _parsed(file)]
        if not documents:
            raise LaptopError(f"{path} holds no resources (*.yaml)")
        return cls(path, tuple(documents))

    @property
    def settings(self) -> dict[str, str]:
        """The data of the first ConfigMap `tapehouse-platform`."""
        for item in self.manifests:
            if item["kind"] == "ConfigMap" and item["metadata"]["name"] == SETTINGS:
                return dict(item.get("data") or {})
        return {}

    @property
    def net(self) -> Net:
        """The loopback range.

        Raises:
            LaptopError: `podNetwork` is not one.
        """
        try:
            return Net.parse(self.settings.get(NETWORK, DEFAULT_NETWORK))
        except ValueError as error:
            raise LaptopError(f"{self.path}: ConfigMap {SETTINGS}: {error}") from error

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces its resources are in, in order of appearance."""
        named = [item["metadata"].get("namespace") for item in self.manifests]
        return tuple(dict.fromkeys(name for name in named if name)) or (DEFAULT_NAMESPACE,)


def check_files(path: Path) -> None:
    """Read every YAML file that belongs to a directory.

    Raises:
        LaptopError: no such directory, or a file in it is not right; names file and line.
    """
    if not path.is_dir():
        raise LaptopError(f"{path} is not a directory of resources")
    for file in _files(path):
        _parsed(file)


def _files(path: Path) -> Iterator[Path]:
    """The YAML files of a directory and of those its kustomization names."""
    yield from sorted(path.glob("*.y*ml"))
    kustomization = path / KUSTOMIZATION
    if not kustomization.exists():
        return
    for document in _parsed(kustomization):
        for name in [*(document.get("resources") or ()), *(document.get("components") or ())]:
            place = (path / str(name)).resolve()
            if place.is_dir():
                yield from _files(place)
            elif place.exists():
                yield place


def _parsed(file: Path) -> list[Manifest]:
    try:
        documents = [each for each in yaml.safe_load_all(file.read_text()) if each is not None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        raise LaptopError(f"{where}: {error.problem or error.context}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LaptopError(f"{file}: not YAML: {error}") from error
    for document in documents:
        if not isinstance(document, dict):
            raise LaptopError(f"{file}: a resource is a mapping, not a {type(document).__name__}")
    if file.name != KUSTOMIZATION:
        _check_identity(file, documents)
    return documents


def _check_identity(file: Path, documents: list[Manifest]) -> None:
    for number, document in enumerate(documents, 1):
        for field in ("apiVersion", "kind"):
            if not isinstance(document.get(field), str):
                raise LaptopError(f"{file}: document {number} has no {field}")
        metadata = document.get("metadata")
        if not isinstance(metadata, dict) or not metadata.get("name"):
            raise LaptopError(f"{file}: document {number} has no metadata.name")


def _kustomized(path: Path, kubectl: Path) -> list[Manifest]:
    done = subprocess.run(
        [kubectl, "kustomize", path], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise LaptopError(f"{path}: {done.stderr.strip().removeprefix('error: ')}")
    return [each for each in yaml.safe_load_all(done.stdout) if each is not None]
