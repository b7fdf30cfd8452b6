"""What a user has on disk: YAML files, directories of them, and kustomizations."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
RENDER_TIMEOUT = 60.0


def read_documents(path: Path) -> list[dict[str, Any]]:
    """Every object that applying `path` would apply; a kustomization is rendered.

    Raises:
        ValueError: a file is not right; the message has file and line.
        FileNotFoundError: there is nothing at `path`, or no `kubectl` to render it with.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if any((path / name).exists() for name in KUSTOMIZATIONS):
        found = _parsed(_rendered(path), path)
    else:
        files = sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]
        found = (document for file in files for document in _parsed(_text(file), file))
    items = (item for document in found for item in _items(document))
    return [_checked(item, path) for item in items if item is not None]


def _rendered(path: Path) -> str:
    kubectl = os.environ.get("KUBECTL") or shutil.which("kubectl")
    if kubectl is None:
        raise FileNotFoundError(
            f"{path} holds a kustomization, and there is no kubectl on PATH to render it; put "
            "kubectl there, or name it in KUBECTL"
        )
    done = subprocess.run(
        [kubectl, "kustomize", path],
        capture_output=True,
        text=True,
        timeout=RENDER_TIMEOUT,
        check=False,
    )
    if done.returncode:
        raise ValueError(f"{path}: {done.stderr.strip().removeprefix('error: ')}")
    return done.stdout


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except UnicodeDecodeError as e:
        raise ValueError(f"{file}: not text in UTF-8: {e.reason} at byte {e.start}") from e


def _parsed(text: str, file: Path) -> Iterator[Any]:
    try:
        yield from yaml.safe_load_all(text)
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ValueError(f"{file}{line}: {getattr(e, 'problem', None) or e}") from e


def _items(document: Any) -> list[Any]:
    """What is in a `List`, as `kubectl get -o yaml` writes it; anything else by itself."""
    listed = isinstance(document, dict) and document.get("kind") == "List"
    return list(document.get("items") or ()) if listed else [document]


def _checked(document: Any, path: Path) -> dict[str, Any]:
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        raise ValueError(f"{path}: a document is no Kubernetes object: it has no kind")
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not metadata.get("name"):
        raise ValueError(f"{path}: a {document['kind']} has no metadata.name")
    return document
