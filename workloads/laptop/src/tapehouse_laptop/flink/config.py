"""Flink's configuration for plain processes on one loopback address."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tapehouse_laptop.flink.spec import SLOTS, Wanted
from tapehouse_laptop.net import SHARED, Net

REST_PORT, RPC_PORT = 8081, 6123
FIRST_ADDRESS, LAST_ADDRESS = 60, 249
"""Fourth byte of the deployments' addresses, `<net>.0.60` up."""
PARAMETERS = "BASH_JAVA_UTILS_EXEC_RESULT:"
PROVIDER = "org.apache.kafka.common.config.provider.EnvVarConfigProvider"
HEAP_MINIMUM = "-Xms64m"

REPORTERS = "metrics.reporter."
"""Prometheus' reporter binds every address of the machine: here Flink's REST API tells instead."""

DEFAULTS = {
    "classloader.check-leaked-classloader": "false",
    "flink.hadoop.fs.file.impl": "dev.tapehouse.files.LocalFiles",
    "restart-strategy.type": "exponential-delay",
    "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
}
"""What a deployment may override."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a deployment's JobManager and TaskManagers listen."""

    host: str
    rest: int
    rpc: int

    @classmethod
    def of(cls, net: Net, slot: int) -> "Endpoint":
        """The slot's own address; where all share one, its own ports."""
        host = net.address(0, FIRST_ADDRESS + slot)
        shift = slot if host == SHARED else 0
        return cls(host, REST_PORT + shift, RPC_PORT + shift)

    @property
    def url(self) -> str:
        """The REST API."""
        return f"http://{self.host}:{self.rest}"


def cluster_configuration(
    wanted: Wanted, endpoint: Endpoint, data: str, scratch: Path
) -> dict[str, str]:
    """The content of `config.yaml` for both kinds of process."""
    asked = wanted.configuration(data)
    given = DEFAULTS | {k: v for k, v in asked.items() if not k.startswith(REPORTERS)}
    cpu, task_memory = wanted.resource("taskManager")
    _, job_memory = wanted.resource("jobManager")
    given.setdefault("taskmanager.memory.process.size", task_memory)
    given.setdefault("jobmanager.memory.process.size", job_memory)
    given.setdefault("taskmanager.cpu.cores", str(cpu))
    given.setdefault(SLOTS, str(wanted.slots))
    host = endpoint.host
    return {
        **given,
        "parallelism.default": str(wanted.parallelism),
        "jobmanager.rpc.address": host,
        "jobmanager.rpc.port": str(endpoint.rpc),
        "jobmanager.bind-host": host,
        "taskmanager.host": host,
        "taskmanager.bind-host": host,
        "rest.address": host,
        "rest.bind-address": host,
        "rest.port": str(endpoint.rest),
        "rest.bind-port": str(endpoint.rest),
        "web.submit.enable": "false",
        "io.tmp.dirs": str(scratch),
    }


def config_yaml(configuration: Mapping[str, str]) -> str:
    """`config.yaml`."""
    return yaml.safe_dump(dict(configuration), width=10_000)


def submission(
    configuration: Mapping[str, str], job_id: str, restore: str, *, lenient: bool
) -> dict[str, str]:
    """Flink settings of one submission from outside the cluster."""
    options = {
        **configuration,
        "execution.target": "remote",
        "execution.attached": "false",
        "$internal.pipeline.job-id": job_id,
    }
    if restore:
        options["execution.state-recovery.path"] = restore
        options["execution.state-recovery.ignore-unclaimed-state"] = str(lenient).lower()
    return options


def java_parameters(output: str) -> tuple[list[str], list[str]]:
    """JVM options and program arguments, from what Flink's BashJavaUtils prints.

    Raises:
        ValueError: it printed something else; the message is its last line.
    """
    lines = [x.removeprefix(PARAMETERS) for x in output.splitlines() if x.startswith(PARAMETERS)]
    if len(lines) != 2:
        last = (output.strip().splitlines() or ["no output"])[-1]
        raise ValueError(f"spec.flinkConfiguration: memory: {last}")
    options, arguments = lines
    # The heap grows to its limit when it must: what is not used is left to others.
    heap = [HEAP_MINIMUM if x.startswith("-Xms") else x for x in options.split()]
    return heap, arguments.split()


def module_options(wheel_config: str) -> list[str]:
    """The `--add-opens` of Flink's own `config.yaml`, without which state cannot be copied."""
    options = yaml.safe_load(wheel_config)["env"]["java"]["opts"]["all"]
    return [*str(options).split(), f"-Dorg.apache.kafka.automatic.config.providers={PROVIDER}"]


LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = file
appender.file.name = file
appender.file.type = RollingFile
appender.file.fileName = ${sys:log.file}
appender.file.filePattern = ${sys:log.file}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %c{1} - %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 20MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
logger.kafka.name = org.apache.kafka
logger.kafka.level = WARN
logger.hadoop.name = org.apache.hadoop
logger.hadoop.level = ERROR
logger.iceberg.name = org.apache.iceberg
logger.iceberg.level = WARN
logger.pekko.name = org.apache.pekko
logger.pekko.level = WARN
"""
