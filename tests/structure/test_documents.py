"""Every decision record has the same form, is in the index, and cites only this repository."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DECISIONS = ROOT / "docs/decisions"
RECORDS = sorted(DECISIONS.glob("[0-9]*.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_decision_has_context_decision_and_consequences(record: Path) -> None:
    text = record.read_text()
    title, *sections = re.findall(r"^#+ .*$", text, re.MULTILINE)
    assert title.startswith(f"# {record.name[:4]} ")
    assert sections == ["## Context", "## Decision", "## Consequences"]
    index = (DECISIONS / "README.md").read_text()
    assert f"[{record.name[:4]}]({record.name}) | {title[7:]} |" in index


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_decision_cites_only_decisions_that_exist(record: Path) -> None:
    text = record.read_text()
    assert re.findall(r"of the design|[Dd]ecision \d{1,2}\b", text) == []
    numbers = {path.name[:4] for path in RECORDS}
    assert set(re.findall(r"\b0[0-9]{3}\b", text)) <= numbers


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)[^)]*\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
