"""The functions jar against plain SQL that gives the same rows: rows per CPU-second of the JVM.

    python -m bench.streams.functions [rows] [rounds]

Each query reads computed trades or books in a mini cluster of one slot and writes nowhere, by
turns in one JVM after a warm-up. Before that, both queries of a pair must give the same rows.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tapehouse_laptop import jars, toolchain

MEASURE = Path(__file__).with_name("measure.py")


def main(rows: int = 500_000, rounds: int = 5) -> None:
    python = toolchain.streams_environment() / "bin" / "python"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "opt/flink").mkdir(parents=True)
        (root / "opt/flink/lib").symlink_to(jars.flink())
        environment = {
            **os.environ,
            "TAPEHOUSE_ROOT": folder,
            "TMPDIR": folder,
            "JVM_ARGS": f"-Xmx1g -XX:+UseSerialGC -Djava.io.tmpdir={folder}",
        }
        done = subprocess.run(
            [python, "-P", MEASURE, str(rows), str(rounds)],
            env=environment, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    for name, seconds in json.loads(done.stdout.splitlines()[-1]).items():
        ours, plain = rows / seconds["ours"], rows / seconds["plain"]
        print(f"{name:22} ours {ours:9,.0f} /s   plain SQL {plain:9,.0f} /s   {ours / plain:5.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
