"""How a job starts on a laptop."""

import time

import pytest
import yaml
from tapehouse_laptop.flink.deployment import MISSING_PATIENCE

from tests.local.platform import Platform, eventually

pytestmark = pytest.mark.local
ASKED = "Triggering a manual checkpoint for job"
"""What Flink notes when a client requests a checkpoint."""
KIND = "flinkdeployment"


@pytest.mark.parametrize("job", ["land", "refine"])
def test_the_first_checkpoint_does_not_wait_for_the_timer(platform: Platform, job: str) -> None:
    log = platform.home / "logs" / "flink" / f"tapehouse-{job}" / "jobmanager.log"
    eventually(lambda: ASKED in log.read_text(), 120)


def test_a_secret_that_does_not_come_is_told_one_still_being_made_is_not(
    platform: Platform,
) -> None:
    land = platform.get(KIND, "land")
    body = {**land, "metadata": {"name": "absent"}, "status": {}}
    document = yaml.safe_dump(body).replace("land-job", "absent-job")
    began = time.monotonic()
    platform.kubectl("apply", "-f", "-", stdin=document)
    try:

        def error() -> str:
            return str(platform.get(KIND, "absent").get("status", {}).get("error") or "")

        said = eventually(error, 60, every=0.2)
        assert 'secret "absent-job" not found' in said
        assert time.monotonic() - began >= MISSING_PATIENCE
    finally:
        platform.kubectl("delete", KIND, "absent", "--wait=true")
