"""The project's own files: the CRDs generated from the operator's models."""

import os
from pathlib import Path

import yaml

from tapehouse_laptop.errors import LaptopError
from tapehouse_laptop.kubeapi import Manifest

CRDS_VARIABLE = "TAPEHOUSE_CRDS"


def crds() -> list[Manifest]:
    """Our five CustomResourceDefinitions.

    Raises:
        LaptopError: they are not found.
    """
    files = sorted(crd_directory().glob("*.yaml"))
    return [document for file in files for document in yaml.safe_load_all(file.read_text())]


def crd_directory() -> Path:
    """`crds/` of the checkout this package is in, or of one the working directory is in."""
    if given := os.environ.get(CRDS_VARIABLE):
        return Path(given)
    for start in (Path(__file__).resolve(), Path.cwd()):
        for parent in start.parents if start.is_file() else (start, *start.parents):
            if (parent / "crds" / "tradefeeds.yaml").exists():
                return parent / "crds"
    raise LaptopError(
        f"crds/ of the Tapehouse checkout is not found: run in the checkout, or set {CRDS_VARIABLE}"
    )
