"""What the Iceberg REST catalog is asked before anything heavy is started."""

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from tapehouse_streams.job import JobError

SECONDS = 60.0
PAUSE = 0.5
TIMEOUT = 10
LEVELS = "%1F"
"""Between the levels of a namespace, in paths of the protocol."""


def await_answer(uri: str, seconds: float = SECONDS) -> None:
    """Return once the catalog answers, whatever it says: it may be starting beside the job.

    Raises:
        JobError: it did not answer in time.
    """
    deadline = time.monotonic() + seconds
    while (trouble := _trouble(uri)) is not None:
        if time.monotonic() > deadline:
            raise JobError("catalog", uri, f"does not answer: {trouble}; is it running?")
        time.sleep(PAUSE)


def _trouble(uri: str) -> str | None:
    try:
        urllib.request.urlopen(f"{uri.rstrip('/')}/v1/config", timeout=TIMEOUT).close()  # noqa: S310
    except urllib.error.HTTPError:
        return None
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", error))
    return None


def shape(uri: str, identifier: str) -> dict[str, Any] | None:
    """All of a table that planning depends on; None where it cannot be had."""
    *levels, name = (urllib.parse.quote(part, safe="") for part in identifier.split("."))
    path = f"/v1/namespaces/{LEVELS.join(levels)}/tables/{name}"
    try:
        with urllib.request.urlopen(uri.rstrip("/") + path, timeout=TIMEOUT) as answer:  # noqa: S310
            return _shape(json.load(answer)["metadata"])
    except (OSError, ValueError, LookupError, http.client.HTTPException):
        return None


def _shape(table: dict[str, Any]) -> dict[str, Any]:
    schema, spec = table["current-schema-id"], table["default-spec-id"]
    return {
        "format": table["format-version"],
        "schema": [x for x in table["schemas"] if x["schema-id"] == schema],
        "partition": [x for x in table["partition-specs"] if x["spec-id"] == spec],
        "properties": table.get("properties"),
    }
