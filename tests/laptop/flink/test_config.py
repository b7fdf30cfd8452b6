from pathlib import Path
from typing import Any

import pytest
import yaml
from tapehouse_laptop.flink.config import (
    Endpoint,
    cluster_configuration,
    config_yaml,
    java_parameters,
    submission,
)
from tapehouse_laptop.flink.rest import innermost
from tapehouse_laptop.flink.spec import Wanted, flink_memory
from tapehouse_laptop.net import SHARED, Net


def wanted(**spec: Any) -> Wanted:
    meta = {"name": "j", "namespace": "n", "uid": "u", "generation": 1}
    return Wanted({"metadata": meta, "spec": {"job": {"parallelism": 4}, **spec}})


def configuration(want: Wanted) -> dict[str, str]:
    return cluster_configuration(want, Endpoint("127.1.0.60", 8081, 6123), "/data", Path("/tmp/x"))


def test_everything_listens_on_the_deployments_address() -> None:
    found = configuration(wanted(flinkConfiguration={"rest.bind-address": "0.0.0.0"}))
    listening = {k: v for k, v in found.items() if k.endswith(("host", "address"))}
    assert set(listening.values()) == {"127.1.0.60"}


def test_no_reporter_opens_a_port_on_every_address() -> None:
    given = {"metrics.reporter.prom.port": "9249", "metrics.latency.interval": "1 s"}
    found = configuration(wanted(flinkConfiguration=given))
    assert {k for k in found if k.startswith("metrics")} == {"metrics.latency.interval"}


def test_data_directory_and_nested_settings_are_expanded() -> None:
    given = {"execution": {"checkpointing": {"dir": "file://$(TAPEHOUSE_DATA)/x"}}, "a.b": True}
    found = configuration(wanted(flinkConfiguration=given))
    assert found["execution.checkpointing.dir"] == "file:///data/x"
    assert found["a.b"] == "true"


def test_resources_become_process_sizes_unless_configured() -> None:
    given = wanted(
        flinkConfiguration={"jobmanager.memory.process.size": "700m"},
        jobManager={"resource": {"memory": "1Gi"}},
        taskManager={"resource": {"memory": "1536Mi", "cpu": 1.5}},
    )
    found = configuration(given)
    assert found["jobmanager.memory.process.size"] == "700m"
    assert found["taskmanager.memory.process.size"] == "1536m"
    assert found["taskmanager.cpu.cores"] == "1.5"


@pytest.mark.parametrize(
    ("slots", "replicas", "expected"),
    [(None, None, 1), ("2", None, 2), ("3", None, 2), ("1", 3, 3)],
)
def test_as_many_task_managers_as_the_parallelism_needs(
    slots: str | None, replicas: int | None, expected: int
) -> None:
    given = {"taskmanager.numberOfTaskSlots": slots} if slots else {}
    found = wanted(flinkConfiguration=given, taskManager={"replicas": replicas})
    assert found.task_managers == expected


def test_yaml_reads_back_as_text() -> None:
    found = yaml.safe_load(config_yaml({"a": "5 s", "b": "true", "c": "0.1", "d": "x: y"}))
    assert found == {"a": "5 s", "b": "true", "c": "0.1", "d": "x: y"}


def test_submission_restores_only_when_there_is_state() -> None:
    assert "execution.state-recovery.path" not in submission({}, "id", "", lenient=False)
    found = submission({}, "id", "file:///s", lenient=True)
    assert found["execution.state-recovery.path"] == "file:///s"
    assert found["execution.state-recovery.ignore-unclaimed-state"] == "true"
    assert found["$internal.pipeline.job-id"] == "id"


def test_java_parameters_of_flinks_own_tool() -> None:
    printed = (
        "INFO  [] - Loading\n"
        "BASH_JAVA_UTILS_EXEC_RESULT:-Xmx100 -Xms100 -XX:MaxMetaspaceSize=9\n"
        "BASH_JAVA_UTILS_EXEC_RESULT:-D a=1 -D b=2\n"
    )
    options, arguments = java_parameters(printed)
    assert options == ["-Xmx100", "-Xms64m", "-XX:MaxMetaspaceSize=9"]
    assert arguments == ["-D", "a=1", "-D", "b=2"]
    with pytest.raises(ValueError, match="Sum of configured"):
        java_parameters("INFO x\nException: Sum of configured exceeds\n")


def test_where_there_is_one_address_ports_differ() -> None:
    class OneAddress(Net):
        def address(self, third: int, fourth: int) -> str:
            return SHARED

    first, second = (Endpoint.of(OneAddress("127.77"), slot) for slot in (0, 1))
    assert (first.rest, second.rest, second.rpc) == (8081, 8082, 6124)
    assert Endpoint.of(Net("127.77"), 1) == Endpoint("127.77.0.61", 8081, 6123)


def test_memory_in_flinks_spelling() -> None:
    assert [flink_memory(x) for x in ("1Gi", "512Mi", "1024m", "2g")] == [
        "1g",
        "512m",
        "1024m",
        "2g",
    ]


def test_the_last_cause_is_the_reason() -> None:
    trace = (
        "a.B: outer\n\tat x\nCaused by: c.D: middle\n\tat y\nCaused by: e.F: the reason\n\t... 3"
    )
    assert innermost(trace) == "the reason"
    assert innermost("Job x not found") == "Job x not found"
