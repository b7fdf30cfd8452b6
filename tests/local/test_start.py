"""How a job starts on a laptop."""

import pytest

from tests.local.platform import Platform, eventually

pytestmark = pytest.mark.local
ASKED = "Triggering a manual checkpoint for job"
"""What Flink notes when somebody else than its timer wants a checkpoint."""


@pytest.mark.parametrize("job", ["land", "refine"])
def test_a_jobs_first_checkpoint_does_not_wait_for_the_timer(platform: Platform, job: str) -> None:
    log = platform.home / "logs" / "flink" / f"tapehouse-{job}" / "jobmanager.log"
    eventually(lambda: ASKED in log.read_text(), 120)
