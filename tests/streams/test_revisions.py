"""Where a revision's branch starts."""

import pytest
from tapehouse_streams.revisions import origin


@pytest.mark.parametrize(
    ("branches", "start"),
    [
        (["main", "rev-00001", "rev-00002"], "rev-00002"),
        (["main", "rev-00001"], "rev-00001"),
        (["rev-00001", "rev-00009", "rev-00010"], "rev-00001"),
        (["main", "audit"], None),
        ([], None),
    ],
)
def test_the_revision_before_or_the_newest_that_ever_wrote(
    branches: list[str], start: str | None
) -> None:
    assert origin(branches, "rev-00003", "rev-00002") == start


def test_numbers_count_not_their_spelling() -> None:
    assert origin(["rev-9", "rev-00010"], "rev-00012", "rev-00011") == "rev-00010"
