"""`KafkaUser`: a SCRAM credential, a Secret that tells it, and the ACLs asked for."""

import base64
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tapehouse_laptop.kafka.admin import Acl, Admin
from tapehouse_laptop.kafka.config import RESERVED, InvalidError, jaas
from tapehouse_laptop.kafka.status import compose, ready, warning
from tapehouse_laptop.kubeapi import Manifest

RESOURCES = {
    "topic": "TOPIC",
    "group": "GROUP",
    "cluster": "BROKER",
    "transactionalId": "TRANSACTIONAL_ID",
}
CLUSTER = "strimzi.io/cluster"
CLUSTER_NAME = "kafka-cluster"
SECRET_LABELS = {"strimzi.io/kind": "KafkaUser", "app.kubernetes.io/managed-by": "tapehouse-laptop"}


def principal(name: str) -> str:
    """Who the ACLs speak of."""
    return f"User:{name}"


def check(item: Manifest) -> None:
    """Refuse what is not done here.

    Raises:
        InvalidError: TLS client certificates, or the broker's own name.
    """
    name = item["metadata"]["name"]
    if name in RESERVED:
        raise InvalidError("metadata.name", name, "the broker's own identity; choose another name")
    kind = (item["spec"].get("authentication") or {}).get("type")
    if kind != "scram-sha-512":
        raise InvalidError("spec.authentication.type", kind, "write scram-sha-512")


def acls(item: Manifest) -> set[Acl]:
    """The rules of `spec.authorization`, one per operation."""
    entries = (item["spec"].get("authorization") or {}).get("acls") or ()
    user = principal(item["metadata"]["name"])
    return {acl for i, entry in enumerate(entries) for acl in _rules(user, i, entry)}


def _rules(user: str, index: int, entry: Mapping[str, Any]) -> Iterator[Acl]:
    resource = entry["resource"]
    path = f"spec.authorization.acls[{index}].resource.type"
    if (kind := RESOURCES.get(resource["type"])) is None:
        raise InvalidError(path, resource["type"], f"write one of {', '.join(RESOURCES)}")
    name = CLUSTER_NAME if kind == "BROKER" else resource["name"]
    pattern = "PREFIXED" if resource.get("patternType") == "prefix" else "LITERAL"
    permission = entry.get("type", "allow").upper()
    for operation in entry.get("operations") or [entry["operation"]]:
        yield Acl(kind, name, pattern, user, entry.get("host", "*"), _snake(operation), permission)


def _snake(camel: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", camel).upper()


def password_in(secret: Manifest | None) -> str | None:
    """The password a Secret holds."""
    encoded = ((secret or {}).get("data") or {}).get("password")
    return base64.b64decode(encoded).decode() if encoded else None


def new_password() -> str:
    """32 letters and digits, as Strimzi makes them."""
    return secrets.token_hex(16)


def secret(item: Manifest, password: str) -> Manifest:
    """The Secret of a user; it goes when the user goes."""
    meta = item["metadata"]
    owner = {
        "apiVersion": item["apiVersion"],
        "kind": item["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": False,
    }
    labels = SECRET_LABELS | {k: v for k, v in (meta.get("labels") or {}).items() if k == CLUSTER}
    data = {"password": password, "sasl.jaas.config": jaas(meta["name"], password)}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "labels": labels,
            "ownerReferences": [owner],
        },
        "data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()},
    }


async def apply_acls(admin: Admin, name: str, wanted: set[Acl]) -> None:
    """Make the ACLs of a user exactly `wanted`."""
    live = {acl for acl in await admin.acls() if acl.principal == principal(name)}
    if wanted != live:
        await admin.change_acls(wanted - live, live - wanted)


async def sweep(admin: Admin, wanted: Callable[[], set[str]]) -> None:
    """Remove credentials and ACLs of users nobody asks for.

    `wanted` is called after the broker was asked: a user made meanwhile is among them.
    """
    live = await admin.users()
    for name in live - wanted() - RESERVED:
        await admin.remove_user(name)
    rules = await admin.acls()
    known = {principal(name) for name in wanted()}
    if stale := [acl for acl in rules if acl.principal not in known]:
        await admin.change_acls((), stale)


def status(item: Manifest) -> Manifest:
    """The status of a user that is as asked."""
    name = item["metadata"]["name"]
    conditions = [ready()]
    if item["spec"].get("quotas"):
        message = "spec.quotas: quotas are not enforced on a laptop"
        conditions.append(warning("QuotasIgnored", message))
    return compose(item, {"username": name, "secret": name}, *conditions)
