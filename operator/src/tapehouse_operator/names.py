"""Names, labels and hashes that every layer agrees on."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import orjson

GROUP = "tapehouse.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CATEGORY = "tapehouse"

LABEL_OWNER = f"{GROUP}/owner"
"""On every child: `<kind>.<name>` in lower case, the same with and without an owner reference."""
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_APP = "app.kubernetes.io/name"
LABEL_CLUSTER = "strimzi.io/cluster"
LABEL_ROLE = f"{GROUP}/role"
"""What a child is for, when workloads or the engine look it up: `publish`, `table`, `check`."""
LABEL_REVISION = f"{GROUP}/revision"

ANNOTATION_HASH = f"{GROUP}/desired-hash"
FINALIZER = f"{GROUP}/data"

SETTINGS = "tapehouse-platform"
"""The ConfigMap that holds a namespace's environment settings."""


def owner_label(kind: str, name: str) -> str:
    """The value of `LABEL_OWNER`: at most 63 characters, hashed when longer."""
    value = f"{kind.lower()}.{name}"
    return value if len(value) <= 63 else f"{value[:50]}.{digest(value)[:12]}"


def revision_name(owner: str, number: int) -> str:
    """The name of revision `number` of `owner`: `land-00012`."""
    return f"{owner}-{number:05d}"


def branch_name(number: int) -> str:
    """The Iceberg branch a job's revision writes: `rev-00012`."""
    return f"rev-{number:05d}"


def branch_revision(branch: str) -> int:
    """The revision that writes `branch`: the inverse of `branch_name`."""
    return int(branch.removeprefix("rev-"))


def canonical(value: Mapping[str, Any] | list[Any] | str) -> bytes:
    """JSON with sorted keys and no white space: equal meaning, equal bytes.

    `10.0` is `10`, as it is once an API server has stored it.
    """
    try:
        raw = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # mappings that are no dict, numbers beyond 64 bits
        raw = b":0.0"
    if not _FLOAT.search(raw):
        return raw
    plain = _plain(value)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


_FLOAT = re.compile(rb"[:\[,]-?[0-9]+(?:\.0|(?:\.[0-9]+)?[eE])")
"""What may be a number that orjson writes otherwise; digests are not."""


def _plain(value: Any) -> Any:
    if isinstance(value, str | int):
        return value
    if isinstance(value, dict | Mapping):  # dict first: asking the abstract class is slow
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def digest(value: Mapping[str, Any] | list[Any] | str) -> str:
    """The SHA-256 of the canonical form, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value)).hexdigest()
