"""FlinkDeployment: one SQL job with a JobManager and TaskManagers of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tapehouse_operator.emit.core import Manifest
from tapehouse_operator.emit.manifests import (
    ANNOTATION_CONFIG,
    CONFIG_DIR,
    config_volume,
    container_security,
    pod_ip_env,
    pod_security,
    root_env,
    secret_env,
)
from tapehouse_operator.emit.platform import PASSWORD_ENV, PASSWORD_KEY
from tapehouse_operator.names import GROUP, LABEL_REVISION, digest

API_VERSION = "flink.apache.org/v1beta1"
KIND = "FlinkDeployment"
_MILLISECOND = timedelta(milliseconds=1)
MAIN_CONTAINER = "flink-main-container"
ANNOTATION_PROMPT = f"{GROUP}/prompt"
"""`true` where somebody waits for the job's records: where room is scarce, it starts first."""
SERVICE_ACCOUNT = "flink"
RUNNER = ("-pyclientexec", "python", "-pym", "tapehouse_streams.run")

SQL_CONFIGURATION: Mapping[str, str] = {
    # The older sink loses rows when one writer of a bounded source ends before another.
    "table.exec.iceberg.use-v2-sink": "true",
    # State is found again after an INSERT is added at the end.
    "table.exec.uid.generation": "ALWAYS",
    "table.local-time-zone": "UTC",
    # Rows go from operator to operator as they are: copies took a quarter of a job's time.
    "pipeline.object-reuse": "true",
    # What several INSERTs read is computed once, with every column that its table declares.
    "table.optimizer.reuse-optimize-block-with-digest-enabled": "true",
}
_CONFIGURATION: Mapping[str, str] = {
    "execution.checkpointing.mode": "EXACTLY_ONCE",
    "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
    # Windows and keys of rows already seen may outgrow the heap.
    "state.backend.type": "rocksdb",
    "execution.checkpointing.incremental": "true",
    # Most lookups are of keys never seen, as every trade's: a file without one is not read.
    "state.backend.rocksdb.use-bloom-filter": "true",
    # A job that cannot run must fail in the end, not restart for ever.
    "restart-strategy.type": "exponential-delay",
    "restart-strategy.exponential-delay.initial-backoff": "1 s",
    "restart-strategy.exponential-delay.max-backoff": "30 s",
    "restart-strategy.exponential-delay.reset-backoff-threshold": "10 min",
    "restart-strategy.exponential-delay.attempts-before-reset-backoff": "15",
    "heartbeat.interval": "5 s",
    "heartbeat.timeout": "30 s",
    # Every process answers Prometheus, where its image has the reporter.
    "metrics.reporter.prom.factory.class": (
        "org.apache.flink.metrics.prometheus.PrometheusReporterFactory"
    ),
    "metrics.reporter.prom.port": "9249",
    # A busy machine is slow, not dead: deploying a wide job must not time out and start over.
    "pekko.ask.timeout": "60 s",
    # SQL over JSON and Parquet lives on the heap; RocksDB alone uses managed memory.
    "taskmanager.memory.managed.fraction": "0.1",
    "taskmanager.memory.jvm-metaspace.size": "192m",
    "taskmanager.memory.jvm-overhead.min": "96m",
}
_PROMPT: Mapping[str, str] = {
    # A row waits that long for others at each shuffle: an alert crosses two on its way.
    "execution.buffer-timeout.interval": "10 ms",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """The size of one process."""

    cpu: float
    """Processors."""
    memory: str
    """Of the whole process, in Flink's spelling: `1024m`."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is wanted of a job, beyond its SQL."""

    name: str
    image: str
    flink_version: str
    state_dir: str
    """Where checkpoints and savepoints go: a URI of this job alone."""
    parallelism: int
    max_parallelism: int
    task_slots: int
    checkpoint_interval: timedelta
    checkpoints_retained: int
    upgrade_mode: str
    """`savepoint`, `last-state` or `stateless`."""
    suspended: bool
    restore_from: str
    """A checkpoint or savepoint to start again from, once; empty for none."""
    job_manager: Machine
    task_manager: Machine
    password_secret: str
    config_map: str
    """Holds `job.json`."""
    config: str
    """`job.json`: another one restarts the job."""
    revision: int
    prompt: bool
    """Whether a client waits for each of its records, as for an alert."""


def flink_deployment(job: Job) -> Manifest:
    """The FlinkDeployment."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": job.name,
            "labels": {LABEL_REVISION: str(job.revision)},
            "annotations": {ANNOTATION_PROMPT: str(job.prompt).lower()},
        },
        "spec": {
            "image": job.image,
            "flinkVersion": job.flink_version,
            "serviceAccount": SERVICE_ACCOUNT,
            "flinkConfiguration": configuration(job),
            "podTemplate": _pod_template(job),
            "jobManager": {"resource": _resource(job.job_manager), "replicas": 1},
            "taskManager": {"resource": _resource(job.task_manager)},
            "job": {
                "jarURI": "local:///opt/flink/opt/flink-python-2.1.3.jar",
                "entryClass": "org.apache.flink.client.python.PythonDriver",
                "args": list(RUNNER),
                "parallelism": job.parallelism,
                "upgradeMode": job.upgrade_mode,
                "state": "suspended" if job.suspended else "running",
                **_restore(job.restore_from),
            },
        },
    }


def checkpoints_dir(state_dir: str) -> str:
    """Where the checkpoints of every life of a job are."""
    return f"{state_dir}/checkpoints"


def _restore(path: str) -> dict[str, Any]:
    """Another nonce makes the Flink operator start the job again, from that path."""
    if not path:
        return {}
    nonce = int(digest(path)[:7], 16)
    return {"initialSavepointPath": path, "savepointRedeployNonce": nonce}


def configuration(job: Job) -> dict[str, str]:
    """Flink's own configuration: state, restarts, sizes."""
    return {
        **_CONFIGURATION,
        **(_PROMPT if job.prompt else {}),
        "pipeline.name": job.name,
        "pipeline.max-parallelism": str(job.max_parallelism),
        "taskmanager.numberOfTaskSlots": str(job.task_slots),
        "execution.checkpointing.interval": f"{job.checkpoint_interval // _MILLISECOND} ms",
        "execution.checkpointing.num-retained": str(job.checkpoints_retained),
        "execution.checkpointing.dir": checkpoints_dir(job.state_dir),
        "execution.checkpointing.savepoint-dir": f"{job.state_dir}/savepoints",
        # Deleting the resource keeps what is needed to go on.
        "kubernetes.operator.savepoint.cleanup.enabled": "false",
        "kubernetes.operator.job.savepoint-on-deletion": "true",
    }


def _resource(machine: Machine) -> dict[str, Any]:
    return {"cpu": machine.cpu, "memory": machine.memory}


def _pod_template(job: Job) -> dict[str, Any]:
    return {
        "metadata": {"annotations": {ANNOTATION_CONFIG: digest(job.config)}},
        "spec": {
            "enableServiceLinks": False,
            "securityContext": pod_security(),
            "containers": [
                {
                    "name": MAIN_CONTAINER,
                    "env": [
                        root_env(),
                        pod_ip_env(),
                        secret_env(PASSWORD_ENV, job.password_secret, PASSWORD_KEY),
                    ],
                    "securityContext": container_security(),
                    "volumeMounts": [
                        {"name": "job", "mountPath": CONFIG_DIR, "readOnly": True},
                    ],
                }
            ],
            "volumes": [config_volume("job", job.config_map)],
        },
    }
