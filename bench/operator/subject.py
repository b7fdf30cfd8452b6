"""`tapehouse operator run` with one more kind: the same process, serving `Trio` alone.

python -m bench.operator.subject KUBECONFIG NAMESPACE ADDRESS ADMISSION_PORT
"""

import asyncio
import sys
from pathlib import Path

from tapehouse_contracts.logs import configure_logs
from tapehouse_operator.__main__ import QUIET_LIBRARIES
from tapehouse_operator.shell.run import run_operator
from tapehouse_operator.shell.settings import Settings

from bench.operator.workload import TrioKind


def main(kubeconfig: str, namespace: str, address: str, admission_port: str) -> None:
    """Reconcile until stopped; with port 0 without admission."""
    configure_logs("INFO", QUIET_LIBRARIES)
    settings = Settings(
        namespaces=(namespace,),
        address=address,
        kubeconfig=Path(kubeconfig),
        admission_port=int(admission_port),
    )
    asyncio.run(run_operator(settings, kinds=(TrioKind(),)))


if __name__ == "__main__":
    main(*sys.argv[1:])
