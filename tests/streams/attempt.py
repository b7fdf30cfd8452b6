"""One attempt of a job, in this process alone: `python attempt.py job.json options.json`.

Submits as the runner does, to a cluster inside the JVM, and goes on until it is killed.
"""

import json
import signal
import sys
from pathlib import Path

from tapehouse_streams import home
from tapehouse_streams.job import read
from tapehouse_streams.run import start


def main() -> None:
    home.settle()
    job, options = map(Path, sys.argv[1:])
    start(read(job), json.loads(options.read_text()))
    signal.pause()


if __name__ == "__main__":
    main()
