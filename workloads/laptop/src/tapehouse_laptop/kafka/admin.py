"""Topics, users and ACLs of one broker, by Kafka's admin protocol."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its own re-exports
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

T = TypeVar("T")

REQUEST_TIMEOUT = 20.0
SCRAM_ITERATIONS = 4096
SETTLE_TRIES, SETTLE_PAUSE = 50, 0.1
EVERYTHING: Any = (
    *(ResourceType.ANY, None, ResourcePatternType.ANY, None, None),
    *(AclOperation.ANY, AclPermissionType.ANY),
)


class Acl(NamedTuple):
    """One rule, in the names of Kafka's protocol, upper case."""

    resource: str
    name: str
    pattern: str
    principal: str
    host: str
    operation: str
    permission: str


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the broker has it; `config` holds what was set on the topic itself."""

    topic_id: str
    partitions: int
    replicas: int
    config: Mapping[str, str] = field(default_factory=dict)


class UnreachableError(Exception):
    """The broker does not answer."""


class Admin:
    """Asynchronous calls to one broker. A refusal is a `KafkaException`.

    All raise `UnreachableError` when the broker does not answer in time.
    """

    def __init__(self, config: Mapping[str, str]) -> None:
        quiet = logging.getLogger(f"{__name__}.client")
        quiet.setLevel(logging.CRITICAL)  # a broker that is away says so in its own way
        self._client = AdminClient(dict(config), logger=quiet)

    async def ping(self) -> None:
        """Return if the broker answers."""
        await self._result(self._client.describe_cluster(request_timeout=3))

    async def topic(self, name: str) -> Topic | None:
        """The topic, once each of its partitions has a leader; None if there is none."""
        for _ in range(SETTLE_TRIES):
            found = await self._describe(name)
            if found is None or all(p.leader is not None for p in found.partitions):
                break
            await asyncio.sleep(SETTLE_PAUSE)
        if found is None:
            return None
        resource = ConfigResource(ConfigResource.Type.TOPIC, name)
        entries = await self._result(self._client.describe_configs([resource])[resource])
        own = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
        config = {e.name: e.value for e in entries.values() if e.source == own}
        replicas = len(found.partitions[0].replicas)
        return Topic(str(found.topic_id), len(found.partitions), replicas, config)

    async def _describe(self, name: str) -> Any:
        future = self._client.describe_topics(TopicCollection([name]))[name]
        try:
            return await self._result(future)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            raise

    async def create_topic(
        self, name: str, partitions: int, replicas: int, config: Mapping[str, str]
    ) -> None:
        """Create; it may take a moment until `topic` sees it."""
        new = NewTopic(name, partitions, replicas, config=dict(config))
        await self._result(self._client.create_topics([new])[name])
        for _ in range(SETTLE_TRIES):
            if await self._describe(name) is not None:
                return
            await asyncio.sleep(SETTLE_PAUSE)

    async def add_partitions(self, name: str, total: int) -> None:
        """Grow to `total` partitions."""
        await self._result(self._client.create_partitions([NewPartitions(name, total)])[name])

    async def change_config(
        self, name: str, values: Mapping[str, str], unset: Iterable[str]
    ) -> None:
        """Set and unset settings of a topic."""
        entries = [
            ConfigEntry(k, v, incremental_operation=AlterConfigOpType.SET)
            for k, v in values.items()
        ]
        entries += [
            ConfigEntry(k, None, incremental_operation=AlterConfigOpType.DELETE) for k in unset
        ]
        resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=entries)
        await self._result(self._client.incremental_alter_configs([resource])[resource])

    async def delete_topic(self, name: str) -> None:
        """Delete; nothing happens when there is none."""
        try:
            await self._result(self._client.delete_topics([name])[name])
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise

    async def users(self) -> set[str]:
        """Everyone with a SCRAM credential."""
        everyone: Any = self._client.describe_user_scram_credentials()
        return set(await self._result(everyone))

    async def set_password(self, user: str, password: str) -> None:
        """Create or replace a SCRAM-SHA-512 credential; returns once the broker honours it."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS)
        change = UserScramCredentialUpsertion(user, info, password.encode())
        await self._result(self._client.alter_user_scram_credentials([change])[user])
        for _ in range(SETTLE_TRIES):
            if user in await self.users():
                return
            await asyncio.sleep(SETTLE_PAUSE)

    async def remove_user(self, user: str) -> None:
        """Remove the credential; nothing happens when there is none."""
        change = UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512)
        try:
            await self._result(self._client.alter_user_scram_credentials([change])[user])
        except KafkaException as error:
            if error.args[0].code() != KafkaError.RESOURCE_NOT_FOUND:
                raise

    async def acls(self) -> set[Acl]:
        """All ACLs."""
        found = await self._result(self._client.describe_acls(AclBindingFilter(*EVERYTHING)))
        return {_acl(binding) for binding in found}

    async def change_acls(self, add: Iterable[Acl], remove: Iterable[Acl]) -> None:
        """Add first, then remove: who keeps a right never lacks it in between."""
        if new := [_binding(acl) for acl in add]:
            for created in self._client.create_acls(new).values():
                await self._result(created)
        if old := [_filter(acl) for acl in remove]:
            for deleted in self._client.delete_acls(old).values():
                await self._result(deleted)

    async def _result(self, future: "Future[T]") -> T:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            raise UnreachableError("no answer from the broker") from error
        except KafkaException as error:
            if error.args[0].code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT):
                raise UnreachableError(error.args[0].str()) from error
            raise


def _acl(binding: Any) -> Acl:
    return Acl(
        binding.restype.name,
        binding.name,
        binding.resource_pattern_type.name,
        binding.principal,
        binding.host,
        binding.operation.name,
        binding.permission_type.name,
    )


def _binding(acl: Acl) -> AclBinding:
    return AclBinding(*_typed(acl))


def _filter(acl: Acl) -> AclBindingFilter:
    return AclBindingFilter(*_typed(acl))


def _typed(acl: Acl) -> tuple[Any, ...]:
    return (
        ResourceType[acl.resource],
        acl.name,
        ResourcePatternType[acl.pattern],
        acl.principal,
        acl.host,
        AclOperation[acl.operation],
        AclPermissionType[acl.permission],
    )
