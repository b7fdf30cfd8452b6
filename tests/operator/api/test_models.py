"""The models: what they take from the API server and what they say of themselves."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from tapehouse_contracts.durations import duration, seconds
from tapehouse_contracts.types import parse_type, widens
from tapehouse_operator.api.base import Change, ConditionType, Reason, Resource, condition, parse
from tapehouse_operator.api.change import declared
from tapehouse_operator.api.reference import leaves
from tapehouse_operator.api.schema import schema_of
from tapehouse_operator.api.types import quantity
from tapehouse_operator.errors import SpecError
from tapehouse_operator.shell.generate import MODELS

from tests.operator.api.cases import BY_KIND, changed, example

YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"}


@pytest.fixture(params=MODELS, ids=lambda model: model.__name__)
def model(request: pytest.FixtureRequest) -> type[Resource]:
    kind: type[Resource] = request.param
    return kind


def test_the_example_round_trips(model: type[Resource]) -> None:
    body = example(model.__name__)
    resource = parse(model, body)
    dump = resource.spec.model_dump(by_alias=True, exclude_unset=True, mode="json")
    assert dump == body["spec"]


def test_metadata_is_read_and_what_is_unknown_is_left_alone(model: type[Resource]) -> None:
    body = example(model.__name__)
    body["metadata"] |= {
        "namespace": "n",
        "uid": "u",
        "generation": 3,
        "resourceVersion": "9",
        "deletionTimestamp": "2026-01-01T00:00:00Z",
        "finalizers": ["f"],
        "labels": {"a": "b"},
        "annotations": {"c": "d"},
        "managedFields": [{"manager": "kubectl"}],
    }
    body["status"] = {"phase": "SomethingNew", "fromAnotherVersion": 1}
    resource = parse(model, body)
    meta = resource.metadata
    assert (meta.namespace, meta.uid, meta.generation, meta.resource_version) == ("n", "u", 3, "9")
    assert meta.deletion_timestamp == "2026-01-01T00:00:00Z"
    assert (meta.finalizers, meta.labels, meta.annotations) == (("f",), {"a": "b"}, {"c": "d"})
    assert resource.status["fromAnotherVersion"] == 1


def test_every_field_teaches(model: type[Resource]) -> None:
    for name, part in (
        ("spec", model.model_fields["spec"].annotation),
        ("status", model.status_model),
    ):
        for leaf in leaves(schema_of(part), name):  # type: ignore[arg-type]
            assert len(leaf.node.get("description", "")) > 10, leaf.path


def test_every_text_and_list_is_bounded(model: type[Resource]) -> None:
    """Rules cost by the largest value there could be."""
    for leaf in leaves(schema_of(model.model_fields["spec"].annotation), "spec"):  # type: ignore[arg-type]
        node = leaf.node
        if node.get("type") == "string":
            assert "maxLength" in node or "enum" in node, leaf.path
        if node.get("type") == "array":
            assert "maxItems" in node, leaf.path


def test_no_field_is_a_word_that_yaml_reads_otherwise(model: type[Resource]) -> None:
    for leaf in leaves(schema_of(model.model_fields["spec"].annotation), "spec"):  # type: ignore[arg-type]
        assert leaf.path.rsplit(".", 1)[-1].lower() not in YAML_WORDS, leaf.path


def test_every_field_of_a_spec_declares_what_its_change_means(model: type[Resource]) -> None:
    spec: Any = model.model_fields["spec"].annotation
    for name, field in spec.model_fields.items():
        change = declared(field)
        assert change is not None, name
        assert change > Change.NONE or not field.is_required(), name


def test_reasons_and_types_explain_themselves() -> None:
    for word in (*Reason, *ConditionType):
        assert word.doc.endswith("."), word
        assert word.value.isalpha(), word
        assert word.value[0].isupper(), word


def test_an_abnormal_condition_never_counts() -> None:
    assert condition(ConditionType.RUNNING, True, Reason.RUNNING).counts
    assert not condition(ConditionType.COMMIT_STALLED, True, Reason.COMMIT_STALLED).counts
    assert condition(ConditionType.CONNECTED, None, Reason.UNKNOWN).status == "Unknown"


@pytest.mark.parametrize(
    ("text", "length"),
    [("250ms", 0.25), ("10m", 600), ("7d", 604800), ("1w", 604800)],
)
def test_durations(text: str, length: float) -> None:
    assert duration(text) == timedelta(seconds=length)


def test_quantities() -> None:
    assert quantity("500m") == Decimal("0.5")
    assert quantity("2Gi") == 2 * 1024**3
    assert quantity("1.5G") == 1_500_000_000
    assert quantity("10") == 10
    for wrong in ("", "5GB", "-1"):
        with pytest.raises(ValueError, match="quantity"):
            quantity(wrong)
    for wrong in ("10", "1h30m", "1.5h", ""):
        with pytest.raises(ValueError, match="duration"):
            duration(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "long",
        "decimal(18,4)",
        "list<struct<price: double, quantity: long>>",
        "map<string, list<int>>",
    ],
)
def test_a_type_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_type(text)) == text


@pytest.mark.parametrize(
    ("old", "new", "so"),
    [
        ("int", "long", True),
        ("long", "int", False),
        ("float", "double", True),
        ("decimal(9,2)", "decimal(12,2)", True),
        ("decimal(9,2)", "decimal(12,3)", False),
        ("date", "timestamp", False),
        ("list<int>", "list<long>", True),
        ("struct<a: int>", "struct<b: int, a: long>", True),
        ("struct<a: int, b: int>", "struct<a: int>", False),
        ("map<int, int>", "map<int, long>", True),
        ("map<int, int>", "map<long, int>", False),
        ("string", "list<string>", False),
    ],
)
def test_types_only_widen(old: str, new: str, so: bool) -> None:
    assert widens(parse_type(old), parse_type(new)) is so


@pytest.mark.parametrize(
    ("kind", "path", "value", "message"),
    [
        ("TradeFeed", "spec.events.0.fields.0.type", "map<double, int>", "a key of a map"),
        ("StreamJob", "spec.outputs.1.columns.0.type", "map<double, int>", "a key of a map"),
        ("QualitySuite", "spec.schedule", "61 99 * * x", "is not a schedule"),
    ],
)
def test_what_a_workload_would_refuse_is_refused_here(
    kind: str, path: str, value: str, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        parse(BY_KIND[kind], changed(example(kind), {path: value}))


def test_a_silence_of_weeks_is_taken_by_both_sides() -> None:
    body = changed(example("TradeFeed"), {"spec.session.silence": "1w"})
    silence = parse(BY_KIND["TradeFeed"], body).spec.session.silence
    assert seconds(silence) == 7 * 86400
