"""What the operator writes, this workload reads: its golden children, parsed."""

from pathlib import Path

import pytest
import yaml
from tapehouse_contracts.durations import seconds, size
from tapehouse_contracts.schedules import check_schedule
from tapehouse_lakehouse.model import PublishIntent, TableSpec, parse

GOLDEN = Path(__file__).parents[1] / "golden"


def documents(key):
    """Every document of this name in the operator's expected children."""
    for path in sorted(GOLDEN.glob("*/*/children.yaml")):
        for child in yaml.safe_load_all(path.read_text()):
            for item in child if isinstance(child, list) else [child or {}]:
                data = item.get("data") or {}
                if key in data:
                    yield pytest.param(data[key], id=f"{path.parent.name}-{key}")


@pytest.mark.parametrize("text", list(documents("table.json")))
def test_tables(text):
    spec = parse(text, TableSpec)
    assert spec.producer.type in ("stream", "transform", "rows")
    assert spec.columns
    if spec.maintenance:
        assert seconds(spec.maintenance.compact.every) > 0
        assert size(spec.maintenance.compact.target_file_size) > 0
    if spec.producer.type == "transform":
        assert spec.producer.sql
        if spec.producer.schedule:
            check_schedule(spec.producer.schedule)


@pytest.mark.parametrize("text", list(documents("publish.json")))
def test_intents(text):
    intent = parse(text, PublishIntent)
    assert intent.branch.startswith("rev-")
    assert intent.tables


def test_there_is_something_to_read():
    assert len(list(documents("table.json"))) > 2
    assert list(documents("publish.json"))
