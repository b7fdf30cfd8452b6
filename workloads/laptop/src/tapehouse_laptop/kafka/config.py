"""What a broker is told: a `Kafka` resource turned into the files of one KRaft process."""

import base64
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KAFKA_VERSION = "4.3.1"
METADATA_VERSION = "4.3-IV0"
SUPERUSER = "broker"
"""The broker's own identity, and the one with which topics, users and ACLs are managed."""
ANCHOR = "first-muftmio"
"""A user nobody can be, whose name Java hashes to 0, so that a broker meets it before all others.

A broker that starts replays its users in the order of their hashes into an empty table. If the
first it meets was deleted meanwhile, Kafka (4.3.1, `ScramDelta.apply`) throws the empty table away
and loses all others with it: nobody can log in any more.
"""
RESERVED = frozenset({SUPERUSER, ANCHOR})
"""Users of the broker's own."""
CONTROLLER_PORT = 9093
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"

ALWAYS = {
    "process.roles": "broker,controller",
    "node.id": "0",
    "controller.listener.names": "CONTROLLER",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": "6",
    "transaction.state.log.num.partitions": "6",
    "share.coordinator.state.topic.num.partitions": "6",
    # After a kill the controller waits this long before it takes the new process for the broker.
    "broker.session.timeout.ms": "5000",
    "broker.heartbeat.interval.ms": "1000",
    # One broker: every internal topic has the one replica it can have.
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
}
OURS = ("advertised.", "authorizer.", "controller.", "listener", "log.dir", "sasl.", "super.")


@dataclass(frozen=True, slots=True)
class InvalidError(Exception):
    """The resource asks for what a laptop broker cannot do."""

    path: str
    value: object
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.value!r}: {self.remedy}"


@dataclass(frozen=True, slots=True)
class Listener:
    """One client listener; `scram` tells SASL/SCRAM-SHA-512 from no authentication."""

    name: str
    port: int
    scram: bool

    @property
    def upper(self) -> str:
        """The name as broker properties spell it."""
        return f"{self.name.upper()}-{self.port}"


@dataclass(frozen=True, slots=True)
class Broker:
    """All there is to know about one broker process."""

    cluster_id: str
    host: str
    listeners: tuple[Listener, ...]
    overrides: Mapping[str, str]
    authorized: bool
    superusers: tuple[str, ...]
    data: Path
    password: str

    @property
    def inner(self) -> Listener:
        """The listener that the broker itself and the controllers of topics and users use."""
        return next(listener for listener in self.listeners if listener.scram)

    def bootstrap(self, listener: Listener) -> str:
        """`host:port` of a listener."""
        return f"{self.host}:{listener.port}"


def listeners(spec: Mapping[str, Any]) -> tuple[Listener, ...]:
    """The listeners of `Kafka.spec.kafka`.

    Raises:
        InvalidError: TLS, an authentication other than SCRAM-SHA-512, or no SCRAM listener.
    """
    found = tuple(_listener(i, entry) for i, entry in enumerate(spec.get("listeners") or ()))
    if not any(listener.scram for listener in found):
        remedy = "give at least one listener `authentication: {type: scram-sha-512}`"
        raise InvalidError("spec.kafka.listeners", [listener.name for listener in found], remedy)
    return found


def _listener(index: int, entry: Mapping[str, Any]) -> Listener:
    path = f"spec.kafka.listeners[{index}]"
    if entry.get("tls"):
        raise InvalidError(
            f"{path}.tls", True, "a laptop's broker speaks on loopback only; write false"
        )
    kind = (entry.get("authentication") or {}).get("type")
    if kind not in (None, "scram-sha-512"):
        raise InvalidError(f"{path}.authentication.type", kind, "write scram-sha-512")
    if entry["port"] == CONTROLLER_PORT:
        raise InvalidError(f"{path}.port", CONTROLLER_PORT, "taken by the controller; use 9092")
    return Listener(entry["name"], int(entry["port"]), kind is not None)


def overrides(spec: Mapping[str, Any]) -> dict[str, str]:
    """`spec.kafka.config` without what one broker cannot follow (replication) or must not."""
    given = {key: _text(value) for key, value in (spec.get("config") or {}).items()}
    return {k: v for k, v in given.items() if k not in ALWAYS and not k.startswith(OURS)}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def jaas(username: str, password: str, module: str = SCRAM, extra: str = "") -> str:
    """A JAAS line for a client, as Strimzi puts it into Secrets."""
    return f'{module} required username="{username}" password="{password}"{extra};'


def server_properties(broker: Broker) -> str:
    """The content of `server.properties`; it holds a password."""
    inner = broker.inner
    control = f"{broker.host}:{CONTROLLER_PORT}"
    bound = [f"{x.upper}://{broker.bootstrap(x)}" for x in broker.listeners]
    protocols = [
        f"{x.upper}:{'SASL_PLAINTEXT' if x.scram else 'PLAINTEXT'}" for x in broker.listeners
    ]
    properties = ALWAYS | dict(broker.overrides)
    properties |= {
        "listeners": ",".join([*bound, f"CONTROLLER://{control}"]),
        "advertised.listeners": ",".join(bound),
        "listener.security.protocol.map": ",".join([*protocols, "CONTROLLER:SASL_PLAINTEXT"]),
        "inter.broker.listener.name": inner.upper,
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "controller.quorum.voters": f"0@{control}",
        "log.dirs": str(broker.data),
    }
    properties |= _authentication(broker) | _authorization(broker)
    return "".join(f"{key}={value}\n" for key, value in sorted(properties.items()))


def _authentication(broker: Broker) -> dict[str, str]:
    # Brokers reach the controller before any SCRAM credential can be read: PLAIN, one user.
    own = f' user_{SUPERUSER}="{broker.password}"'
    found = {
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": jaas(
            SUPERUSER, broker.password, PLAIN, own
        ),
    }
    for listener in filter(lambda x: x.scram, broker.listeners):
        prefix = f"listener.name.{listener.upper.lower()}"
        found[f"{prefix}.sasl.enabled.mechanisms"] = "SCRAM-SHA-512"
        found[f"{prefix}.scram-sha-512.sasl.jaas.config"] = jaas(SUPERUSER, broker.password)
    return found


def _authorization(broker: Broker) -> dict[str, str]:
    if not broker.authorized:
        return {}
    users = dict.fromkeys([SUPERUSER, *broker.superusers])
    return {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": ";".join(f"User:{user}" for user in users),
    }


def client_config(broker: Broker) -> dict[str, str]:
    """The superuser's client configuration, in librdkafka's names."""
    return {
        "bootstrap.servers": broker.bootstrap(broker.inner),
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": SUPERUSER,
        "sasl.password": broker.password,
    }


def new_cluster_id() -> str:
    """As Kafka's own tool draws one: a UUID in the URL's base 64, which may begin with a dash."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def format_arguments(broker: Broker, properties: Path) -> list[str]:
    """Arguments of Kafka's storage tool that prepare an empty log directory."""
    users = {ANCHOR: secrets.token_hex(24), SUPERUSER: broker.password}
    scram = [f"SCRAM-SHA-512=[name={name},password={users[name]}]" for name in users]
    return [
        *("kafka.tools.StorageTool", "format", "--ignore-formatted"),
        # One id in 64 begins with a dash: on its own it would be taken for an option.
        f"--cluster-id={broker.cluster_id}",
        *("--config", str(properties)),
        *(part for user in scram for part in ("--add-scram", user)),
    ]


def argument_file(arguments: Sequence[str]) -> str:
    """A file for `java @FILE`: what is in it does not show in the list of processes."""
    return "".join(f'"{_escaped(argument)}"\n' for argument in arguments)


def _escaped(argument: str) -> str:
    return argument.replace("\\", "\\\\").replace('"', '\\"')


LOG4J = """\
status = warn
name = broker
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {log}
appender.file.filePattern = {log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{ISO8601}} %-5p %m (%c{{1}})%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 20MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = file
logger.controller.name = org.apache.kafka.controller
logger.controller.level = WARN
"""


def log4j_properties(log: Path) -> str:
    """Log4j's settings: one rolling file, at most 60 MB."""
    return LOG4J.format(log=log)
