"""The processes of one deployment: a JobManager, its TaskManagers, and the runner."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from tapehouse_laptop import jvm
from tapehouse_laptop.flink.config import LOG4J, config_yaml
from tapehouse_laptop.flink.errors import StartError
from tapehouse_laptop.flink.memory import Memory
from tapehouse_laptop.flink.pod import Place
from tapehouse_laptop.flink.wheel import JOB_MANAGER, TASK_MANAGER, Wheel, temporary
from tapehouse_laptop.processes import Process
from tapehouse_laptop.state import State, write_atomically, write_json

log = logging.getLogger(__name__)

SUBMIT_SECONDS = 180.0
RESTART_PAUSE = 1.0
CRASH = "-XX:+ExitOnOutOfMemoryError"


class Cluster:
    """Processes from `start` to `stop`. The death of the JobManager ends them all."""

    def __init__(self, state: State, wheel: Wheel, place: Place, name: str, logs: Path) -> None:
        self.pids: dict[str, int] = {}
        self._state = state
        self._wheel = wheel
        self._place = place
        self._name = name
        self._logs = logs
        self._archive = jvm.archived(jvm.FLINK)
        self._tasks: list[asyncio.Task[None]] = []
        self._job_manager: Process | None = None

    @property
    def alive(self) -> bool:
        """Whether the JobManager runs."""
        return self._job_manager is not None and self._job_manager.returncode is None

    async def start(
        self,
        configuration: Mapping[str, str],
        environment: Mapping[str, str],
        task_managers: int,
        changed: Callable[[], None],
    ) -> None:
        """Start all; TaskManagers are started again when they die. `changed` on every change.

        Raises:
            StartError: the memory settings do not fit together.
            OSError: Java cannot be executed.
        """
        conf = self._place.conf
        write_atomically(conf / "config.yaml", config_yaml(configuration))
        write_atomically(conf / "log4j.properties", LOG4J)
        memory = Memory(self._state, self._wheel, conf, configuration)
        options, arguments = await memory.parameters("JM")
        options = [*jvm.BRIEF, *options]
        self._job_manager = await self._java(
            "jobmanager", options, JOB_MANAGER, arguments, environment
        )
        self._tasks.append(asyncio.create_task(self._watch(self._job_manager, changed)))
        options, arguments = await memory.parameters("TM")
        options = [*jvm.PATIENT, *options]
        for number in range(task_managers):
            keep = self._keep_task_manager(number, options, arguments, environment, changed)
            self._tasks.append(asyncio.create_task(keep))

    async def stop(self) -> None:
        """Kill all. Nothing is lost: state is in checkpoints, output in what was committed."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()
        if self._job_manager:
            await self._job_manager.stop(0)
        self._job_manager = None
        self.pids.clear()

    async def submit(self, options: Mapping[str, str], environment: Mapping[str, str]) -> None:
        """Run the runner to its end.

        Raises:
            StartError: it failed, or took too long.
        """
        write_json(self._place.options, dict(options))
        output = self._logs / "submit.log"
        output.unlink(missing_ok=True)
        variables = {
            **self._variables(environment),
            "TAPEHOUSE_FLINK_OPTIONS": str(self._place.options),
        }
        argv: list[str | Path] = [self._wheel.python, "-m", "tapehouse_streams.run"]
        name = f"flink/{self._name}/submit"
        process = await Process.start(self._state, name, argv, log=output, env=variables)
        try:
            async with asyncio.timeout(SUBMIT_SECONDS):
                code = await process.wait()
        except TimeoutError as error:
            raise StartError(f"not submitted after {SUBMIT_SECONDS:.0f} s, see {output}") from error
        finally:
            await process.stop(0)
        if code:
            raise StartError(self._why(output))

    def _why(self, output: Path) -> str:
        try:
            said = json.loads(self._place.termination_log.read_text())
        except (OSError, ValueError):
            lines = output.read_text(errors="replace").strip().splitlines()
            return lines[-1] if lines else f"the runner ended without a word, see {output}"
        return f"{said['path']}: {said['value']}: {said['remedy']}"

    async def _watch(self, job_manager: Process, changed: Callable[[], None]) -> None:
        self.pids["jobmanager"] = job_manager.pid
        code = await job_manager.wait()
        log.warning("JobManager of %s ended with %s", self._name, code)
        self.pids.pop("jobmanager", None)
        changed()

    async def _keep_task_manager(
        self,
        number: int,
        options: list[str],
        arguments: list[str],
        environment: Mapping[str, str],
        changed: Callable[[], None],
    ) -> None:
        name = "taskmanager" if number == 0 else f"taskmanager-{number}"
        while True:
            process = await self._java(name, options, TASK_MANAGER, arguments, environment)
            self.pids[name] = process.pid
            changed()
            try:
                code = await process.wait()
            finally:
                self.pids.pop(name, None)
                await process.stop(0)
            log.warning("%s of %s ended with %s", name, self._name, code)
            await asyncio.sleep(RESTART_PAUSE)

    async def _java(
        self,
        name: str,
        options: list[str],
        main: str,
        arguments: list[str],
        environment: Mapping[str, str],
    ) -> Process:
        wheel, conf = self._wheel, self._place.conf
        logging_options = [
            f"-Dlog.file={self._logs / name}.log",
            f"-Dlog4j.configurationFile={conf / 'log4j.properties'}",
        ]
        own = [CRASH, temporary(self._place.scratch), *wheel.java_options, *logging_options]
        own = [*self._archive, *own, "-cp", wheel.class_path()]
        argv: list[str | Path] = [wheel.java, *options, *own, main, "--configDir", conf, *arguments]
        return await Process.start(
            self._state,
            f"flink/{self._name}/{name}",
            argv,
            log=self._logs / f"{name}.out",
            env=self._variables(environment),
        )

    def _variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        place = self._place
        return {
            **environment,
            **self._wheel.client_environment(place.conf, self._logs, place.scratch, self._archive),
        }
