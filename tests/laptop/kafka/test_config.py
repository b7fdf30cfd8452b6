from pathlib import Path

import pytest
from tapehouse_laptop.kafka.admin import Acl, Topic
from tapehouse_laptop.kafka.config import (
    Broker,
    InvalidError,
    argument_file,
    format_arguments,
    listeners,
    overrides,
    server_properties,
)
from tapehouse_laptop.kafka.status import compose, not_ready, ready
from tapehouse_laptop.kafka.topics import change
from tapehouse_laptop.kafka.users import acls, check, secret

SCRAM = {"type": "scram-sha-512"}
INTERNAL = {"name": "internal", "port": 9092, "tls": False, "authentication": SCRAM}


def broker(**changes: object) -> Broker:
    fields: dict[str, object] = {
        "cluster_id": "c",
        "host": "127.1.0.20",
        "listeners": listeners({"listeners": [INTERNAL]}),
        "overrides": {},
        "authorized": True,
        "superusers": (),
        "data": Path("/data"),
        "password": "secret",
    }
    return Broker(**{**fields, **changes})  # type: ignore[arg-type]


def properties(given: Broker) -> dict[str, str]:
    lines = server_properties(given).splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_every_port_is_bound_to_the_brokers_address() -> None:
    found = properties(broker())
    assert found["listeners"] == ("INTERNAL-9092://127.1.0.20:9092,CONTROLLER://127.1.0.20:9093")
    assert found["listener.security.protocol.map"] == (
        "INTERNAL-9092:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT"
    )


def test_nobody_but_the_broker_may_do_anything_without_acl() -> None:
    found = properties(broker())
    assert found["allow.everyone.if.no.acl.found"] == "false"
    assert found["super.users"] == "User:broker"


def test_an_id_that_begins_with_a_dash_is_no_option() -> None:
    found = format_arguments(broker(cluster_id="-q"), Path("server.properties"))
    assert not any(argument.startswith("-q") for argument in found)


def test_named_superusers_are_added() -> None:
    assert properties(broker(superusers=("ops",)))["super.users"] == "User:broker;User:ops"


def test_overrides_reach_the_broker_but_not_replication_or_listeners() -> None:
    given = {"log.retention.hours": 5, "default.replication.factor": 3, "listeners": "x", "a": True}
    assert overrides({"config": given}) == {"log.retention.hours": "5", "a": "true"}


@pytest.mark.parametrize(
    ("listener", "path"),
    [
        ({**INTERNAL, "tls": True}, "spec.kafka.listeners[0].tls"),
        ({**INTERNAL, "port": 9093}, "spec.kafka.listeners[0].port"),
        (
            {**INTERNAL, "authentication": {"type": "tls"}},
            "spec.kafka.listeners[0].authentication.type",
        ),
        ({"name": "plain", "port": 9092}, "spec.kafka.listeners"),
    ],
)
def test_what_a_laptop_cannot_do_is_refused_with_its_path(
    listener: dict[str, object], path: str
) -> None:
    with pytest.raises(InvalidError) as refusal:
        listeners({"listeners": [listener]})
    assert refusal.value.path == path


def test_argument_file_quotes() -> None:
    assert argument_file(['a "b" \\c']) == '"a \\"b\\" \\\\c"\n'


def topic(**changes: object) -> Topic:
    return Topic(**{"topic_id": "t", "partitions": 3, "replicas": 1, **changes})  # type: ignore[arg-type]


def test_topic_grows_and_follows_settings() -> None:
    live = topic(config={"retention.ms": "1", "cleanup.policy": "compact"})
    spec = {"partitions": 6, "replicas": 1, "config": {"retention.ms": 2}}
    todo = change(spec, live)
    assert (todo.partitions, todo.values, todo.unset, todo.refused) == (
        *(6, {"retention.ms": "2"}, ("cleanup.policy",), None),
    )


@pytest.mark.parametrize("spec", [{"partitions": 2}, {"partitions": 3, "replicas": 3}])
def test_topic_never_shrinks_nor_changes_replication(spec: dict[str, int]) -> None:
    todo = change(spec, topic())
    assert todo.partitions is None
    assert todo.refused
    assert todo.refused[0] == "NotSupported"


def user(spec: dict[str, object]) -> dict[str, object]:
    meta = {
        "name": "u",
        "namespace": "n",
        "uid": "1",
        "generation": 2,
        "labels": {"strimzi.io/cluster": "c", "x": "y"},
    }
    return {"apiVersion": "v", "kind": "KafkaUser", "metadata": meta, "spec": spec}


def test_acls_one_rule_per_operation() -> None:
    entry = {
        "resource": {"type": "topic", "name": "raw.", "patternType": "prefix"},
        "operations": ["Read", "DescribeConfigs"],
    }
    found = acls(user({"authorization": {"type": "simple", "acls": [entry]}}))
    assert found == {
        Acl("TOPIC", "raw.", "PREFIXED", "User:u", "*", "READ", "ALLOW"),
        Acl("TOPIC", "raw.", "PREFIXED", "User:u", "*", "DESCRIBE_CONFIGS", "ALLOW"),
    }


def test_unknown_authentication_is_refused() -> None:
    with pytest.raises(InvalidError, match=r"spec\.authentication\.type: 'tls'"):
        check(user({"authentication": {"type": "tls"}}))


def test_secret_carries_the_cluster_and_goes_with_its_user() -> None:
    made = secret(user({}), "pw")
    assert made["metadata"]["labels"]["strimzi.io/cluster"] == "c"
    assert "x" not in made["metadata"]["labels"]
    assert made["metadata"]["ownerReferences"][0]["uid"] == "1"


def test_transition_time_moves_only_when_the_status_flips() -> None:
    item = user({})
    old = {"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}
    item["status"] = {"conditions": [old]}
    assert compose(item, {}, ready())["conditions"] == [old]
    flipped = compose(item, {}, not_ready("Why", "because"))["conditions"][0]
    assert flipped["lastTransitionTime"] != old["lastTransitionTime"]
