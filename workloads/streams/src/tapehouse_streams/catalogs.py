"""Whether the Iceberg REST catalog is there, asked before anything heavy is started."""

import http.client
import time
import urllib.error
import urllib.request

from tapehouse_streams.job import JobError

SECONDS = 60.0
PAUSE = 0.5


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
        urllib.request.urlopen(f"{uri.rstrip('/')}/v1/config", timeout=10).close()  # noqa: S310
    except urllib.error.HTTPError:
        return None
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", error))
    return None
