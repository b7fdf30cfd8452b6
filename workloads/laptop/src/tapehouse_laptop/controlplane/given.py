"""An API server of the user's own: `TAPEHOUSE_CONTEXT` names a context of their kubeconfig."""

import os
import subprocess
from pathlib import Path

import yaml

from tapehouse_laptop.errors import LaptopError
from tapehouse_laptop.state import State, write_atomically

CONTEXT_VARIABLE = "TAPEHOUSE_CONTEXT"


def given_context() -> str | None:
    """The context to use instead of a control plane of our own."""
    return os.environ.get(CONTEXT_VARIABLE) or None


def adopt(context: str, state: State, kubectl: Path, namespace: str) -> None:
    """Write the installation's kubeconfig for a context of the user's, in `namespace`.

    Raises:
        LaptopError: there is no such context.
    """
    done = subprocess.run(
        [kubectl, "config", "view", "--raw", "--minify", "--flatten", "--context", context],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if done.returncode:
        raise LaptopError(f"{CONTEXT_VARIABLE}={context}: {done.stderr.strip()}")
    config = yaml.safe_load(done.stdout)
    for entry in config["contexts"]:
        entry["context"]["namespace"] = namespace
    write_atomically(state.kubeconfig, yaml.safe_dump(config, sort_keys=False))
