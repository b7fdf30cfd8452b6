"""The ceiling: a script that does just the operator's writes, over the operator's own client.

    python -m bench.operator.ceiling KUBECONFIG TEMPLATE WORKERS

Reads `<name> <uid>` lines; for each it applies the children in order and merges the status. It
watches nothing, decides nothing and remembers nothing.
"""

import asyncio
import sys
from pathlib import Path

from tapehouse_kube.access import load_access
from tapehouse_kube.client import HttpKube
from tapehouse_kube.objects import Ref
from tapehouse_operator.names import API_VERSION

from bench.operator.recording import Template
from bench.operator.server import NAMESPACE


async def main(kubeconfig: str, template: Path, workers: int) -> None:
    """Write until standard input ends, `workers` resources at a time."""
    kind, *parts = template.read_bytes().split(b"\n")
    writes = Template(*parts)
    waiting: asyncio.Queue[str] = asyncio.Queue()
    async with HttpKube(load_access(kubeconfig)) as kube:

        async def work() -> None:
            while line := await waiting.get():
                name, uid = line.split()
                children, status = writes.filled(name, uid)
                for child in children:
                    await kube.apply(child)
                ref = Ref(API_VERSION, kind.decode(), NAMESPACE, name)
                await kube.merge(ref, {"metadata": {"uid": uid}, "status": status}, "status")

        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work())
            await _read(waiting)
            for _ in range(workers):
                waiting.put_nowait("")


async def _read(waiting: asyncio.Queue[str]) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        waiting.put_nowait(line.decode())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
