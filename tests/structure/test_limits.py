"""Every test has a time limit."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LIMIT


def test_this_test_has_a_limit(request: pytest.FixtureRequest) -> None:
    marker = request.node.get_closest_marker("timeout")
    assert marker is not None
    assert marker.args == (LIMIT,)


def test_a_test_that_hangs_fails(tmp_path: Path) -> None:
    (tmp_path / "test_hang.py").write_text(
        "import threading\nimport pytest\n\n\n"
        "@pytest.mark.timeout(0.2)\ndef test_it():\n    threading.Event().wait()\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Timeout" in done.stdout
