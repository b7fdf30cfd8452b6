"""The sizes of a process: Flink's own calculation, remembered because each costs a JVM start."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tapehouse_laptop.cache import cache_dir, digest_of
from tapehouse_laptop.flink.config import config_yaml, java_parameters
from tapehouse_laptop.flink.errors import StartError
from tapehouse_laptop.flink.wheel import MEMORY_TOOL, Wheel
from tapehouse_laptop.processes import Process
from tapehouse_laptop.state import State, read_json, write_json

TOOL_OPTIONS = ("-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
RELEVANT = (".memory.", ".cpu.", ".numberOfTaskSlots")


@dataclass(frozen=True, slots=True)
class Memory:
    """The sizes that follow from one configuration."""

    state: State
    wheel: Wheel
    conf: Path
    configuration: Mapping[str, str]

    async def parameters(self, role: str) -> tuple[list[str], list[str]]:
        """JVM options and program arguments of a `JM` or `TM`.

        Raises:
            StartError: the settings do not fit together.
        """
        known = cache_dir() / "flink-memory" / f"{self._digest(role)}.json"
        output = await asyncio.to_thread(read_json, known)
        if output is None:
            output = await self._calculate(role)
        try:
            found = java_parameters(output)
        except ValueError as error:
            raise StartError(str(error)) from error
        write_json(known, output)
        return found

    def _digest(self, role: str) -> str:
        relevant = {
            name: value
            for name, value in self.configuration.items()
            if any(part in name for part in RELEVANT)
        }
        return digest_of(role, str(self.wheel.home), config_yaml(relevant))

    async def _calculate(self, role: str) -> str:
        output = self.conf / f"memory-{role}.out"
        tool = [*TOOL_OPTIONS, "-cp", self.wheel.memory_tool, MEMORY_TOOL]
        command = [f"GET_{role}_RESOURCE_PARAMS", "--configDir", str(self.conf)]
        argv: list[str | Path] = [self.wheel.java, *tool, *command]
        name = f"flink-memory-{self.conf.parent.name}"
        process = await Process.start(self.state, name, argv, log=output)
        try:
            await process.wait()
        finally:
            await process.stop(0)
        return output.read_text(errors="replace")
