"""The runner lives in an environment of its own; what needs no Flink is tested in this one."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY / "workloads" / "streams" / "src"))
