"""Ctrl-C before anything runs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

PREPARING = """
import time
from pathlib import Path
from rich.console import Console
from tapehouse_cli.platform import commands as cli
from tapehouse_cli.platform import up

def build(progress):
    print("building", flush=True)
    time.sleep(600)

up.prepare = build
cli.bring_up(Path("environments/local"), Console(), detach=False, timeout=600)
"""


def test_an_interrupt_ends_what_is_being_prepared(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", PREPARING],
        env={**os.environ, "TAPEHOUSE_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Where tests run in the background, interrupts are ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "building\n"
        child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=30)
    assert child.returncode == 130, said
    assert "Traceback" not in said
