"""What the models refuse, and how they say so."""

import pytest
from tapehouse_operator.api.base import Reason, parse
from tapehouse_operator.api.transition import check_transition
from tapehouse_operator.errors import SpecError
from tapehouse_operator.shell.generate import MODELS

from tests.operator.api.cases import (
    BAD,
    BAD_CHANGES,
    BY_KIND,
    GOOD_CHANGES,
    Bad,
    BadChange,
    changed,
    example,
)


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_a_bad_resource_is_refused_by_field_value_and_remedy(bad: Bad) -> None:
    with pytest.raises(SpecError) as caught:
        parse(BY_KIND[bad.kind], bad.body)
    assert (caught.value.path, caught.value.reason) == (bad.path, bad.reason)
    assert len(caught.value.remedy) > 10
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", BAD_CHANGES, ids=str)
def test_a_bad_change_is_refused_and_an_agreed_one_is_not(bad: BadChange) -> None:
    model, before = BY_KIND[bad.kind], changed(example(bad.kind), bad.before)
    old, new = parse(model, before), parse(model, changed(before, bad.after))
    with pytest.raises(SpecError) as caught:
        check_transition(old.spec, new.spec)
    assert (caught.value.path, caught.value.reason) == (bad.path, bad.reason)
    if bad.agreed:
        check_transition(old.spec, parse(model, changed(before, {**bad.after, **bad.agreed})).spec)


@pytest.mark.parametrize(("kind", "changes"), GOOD_CHANGES)
def test_a_good_change_is_accepted(kind: str, changes: dict[str, object]) -> None:
    model = BY_KIND[kind]
    old, new = parse(model, example(kind)), parse(model, changed(example(kind), changes))
    assert old != new
    check_transition(old.spec, new.spec)


@pytest.mark.parametrize("model", MODELS)
def test_no_change_is_always_accepted(model: type) -> None:
    spec = parse(model, example(model.__name__)).spec
    check_transition(spec, spec)


def test_every_rule_is_broken_by_some_case() -> None:
    """A rule without a case would be a rule without a test, here and on the API server."""
    refused = set()
    for bad in BAD:
        with pytest.raises(SpecError) as caught:
            parse(BY_KIND[bad.kind], bad.body)
        refused.add(caught.value.remedy)
    for change in BAD_CHANGES:
        model, before = BY_KIND[change.kind], changed(example(change.kind), change.before)
        with pytest.raises(SpecError) as caught:
            check_transition(
                parse(model, before).spec, parse(model, changed(before, change.after)).spec
            )
        refused.add(caught.value.remedy)
    rules = {
        rule.message
        for model in MODELS
        for part in _parts(model)
        for rule in (*part.invariants, *part.transitions)
    }
    assert rules - refused == set()


def _parts(model: type) -> set[type]:
    """`model` and every model below its fields."""
    from tapehouse_operator.api.parse import _models

    found, queue = set(), [model]
    while queue:
        part = queue.pop()
        if part not in found:
            found.add(part)
            queue += [m for f in part.model_fields.values() for m in _models(f.annotation)]
    return found


def test_an_unknown_field_comes_first_and_names_the_nearest() -> None:
    body = changed(example("TradeFeed"), {"spec.topics.0": {"event": "TradeExecuted", "nam": "x"}})
    with pytest.raises(SpecError) as caught:
        parse(BY_KIND["TradeFeed"], body)
    assert caught.value.reason is Reason.UNKNOWN_FIELD
    assert caught.value.path == "spec.topics[0].nam"
    assert "did you mean name?" in caught.value.remedy


def test_python_names_are_not_api_names() -> None:
    body = changed(example("TradeFeed"), {"spec.dead_letter": {}})
    with pytest.raises(SpecError, match="deadLetter"):
        parse(BY_KIND["TradeFeed"], body)


@pytest.mark.parametrize(
    "wrong", ["list<", "decimal(40,2)", "struct<a: int, a: int>", "list<int> x", "text"]
)
def test_a_wrong_type_says_what_is_wrong(wrong: str) -> None:
    body = changed(example("LakehouseTable"), {"spec.columns.0.type": wrong})
    with pytest.raises(SpecError) as caught:
        parse(BY_KIND["LakehouseTable"], body)
    assert caught.value.path == "spec.columns[0].type"
    assert caught.value.value == wrong
