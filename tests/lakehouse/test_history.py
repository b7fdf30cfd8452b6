"""Slowly changing dimensions: by example, and against a model that replays every load."""

from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapehouse_lakehouse.dimensions.history import BEGINNING, reload, shape
from tapehouse_lakehouse.model import InvalidError, Scd, ScdAttributes

COLUMNS = ("symbol", "sector", "name", "note", "target", "previous_target")
BOOKKEEPING = ("valid_from", "valid_to", "is_current", "version")
SCD = Scd(
    type=2,
    attributes=(
        ScdAttributes(columns=("note",), type=1),
        ScdAttributes(columns=("target",), type=3),
    ),
)
SHAPE = shape("dim-symbol", ("symbol",), COLUMNS + BOOKKEEPING, SCD)
START = datetime(2026, 1, 1, tzinfo=UTC)


def at(hour):
    return START + timedelta(hours=hour)


def row(sector="Tech", name="Apple", note="", target=1.0, symbol="AAPL", **more):
    values = {"symbol": symbol, "sector": sector, "name": name, "note": note, "target": target}
    return values | more


def load(*loads):
    rows = []
    for hour, declared in enumerate(loads):
        rows = reload(rows, declared, SHAPE, at(hour))
    return rows


def test_the_first_version_holds_from_the_beginning():
    (only,) = load([row()])
    assert (only["valid_from"], only["valid_to"]) == (BEGINNING, None)
    assert (only["is_current"], only["version"]) == (True, 1)


def test_a_reload_of_the_same_adds_nothing():
    once = load([row(), row(symbol="MSFT")])
    assert load([row(), row(symbol="MSFT")], [row(symbol="MSFT"), row()], [row()]) == once


def test_two_new_versions_with_an_overwrite_between():
    rows = load(
        [row("Tech", note="a")], [row("Media", note="a")], [row("Media", note="b")],
        [row("Retail", note="b")],
    )  # fmt: skip
    shown = [(r["sector"], r["note"], r["valid_from"], r["valid_to"], r["version"]) for r in rows]
    assert shown == [
        ("Tech", "b", BEGINNING, at(1), 1),
        ("Media", "b", at(1), at(3), 2),
        ("Retail", "b", at(3), None, 3),
    ]
    assert [r["is_current"] for r in rows] == [False, False, True]


def test_type_3_keeps_the_value_before():
    rows = load([row(target=1.0)], [row(target=2.0)], [row(target=2.0, sector="X")])
    assert [(r["target"], r["previous_target"]) for r in rows] == [(2.0, 1.0), (2.0, 1.0)]
    rows = load([row(target=1.0)], [row(target=2.0)], [row(target=3.0)])
    assert [(r["target"], r["previous_target"]) for r in rows] == [(3.0, 2.0)]


def test_a_key_no_longer_declared_stays():
    assert [r["symbol"] for r in load([row(), row(symbol="MSFT")], [row()])] == ["AAPL", "MSFT"]


def test_a_declared_valid_from_dates_the_change():
    rows = load([row("Tech")], [row("Media", valid_from=at(-5))])
    assert [(r["valid_from"], r["valid_to"]) for r in rows] == [(BEGINNING, at(-5)), (at(-5), None)]
    corrected = reload(rows, [row("Retail", valid_from=at(-5))], SHAPE, at(2))
    assert [r["sector"] for r in corrected] == ["Tech", "Retail"]


def test_what_cannot_be_is_refused():
    with pytest.raises(InvalidError, match="twice"):
        load([row(), row()])
    with pytest.raises(InvalidError, match="null"):
        load([row(symbol=None)])
    with pytest.raises(InvalidError, match="give a later one"):
        load([row("Tech")], [row("Media")], [row("X", valid_from=at(0))])
    with pytest.raises(InvalidError, match=r"needs previous_target, valid_from"):
        shape("t", ("symbol",), ("symbol", "sector", "target"), SCD)
    with pytest.raises(InvalidError, match=r"spec\.key"):
        shape("t", (), COLUMNS, SCD)


def test_a_type_1_dimension_has_no_versions():
    form = shape("t", ("symbol",), ("symbol", "name"), Scd(type=1))
    rows = reload([], [{"symbol": "A", "name": "x"}], form, at(0))
    assert reload(rows, [{"symbol": "A", "name": "y"}], form, at(1)) == [
        {"symbol": "A", "name": "y"}
    ]


VALUES = st.sampled_from(["a", "b", None])
LOADS = st.lists(
    st.dictionaries(st.sampled_from("XYZ"), st.tuples(VALUES, VALUES, VALUES), max_size=3),
    max_size=8,
)


def replayed(loads, symbol):
    """What history must be, from the whole sequence of declarations at once."""
    said = [(hour, load[symbol]) for hour, load in enumerate(loads) if symbol in load]
    if not said:
        return []
    runs = [
        (next(run)[0], sector) for sector, run in groupby(said, lambda s: s[1][0])
    ]  # the hour at which each run of equal sectors began
    notes = [note for _, (_, note, _) in said]
    targets = [value for value, _ in groupby(said, lambda s: s[1][2])]
    starts = [BEGINNING, *(at(hour) for hour, _ in runs[1:])]
    return [
        {
            "sector": sector,
            "note": notes[-1],
            "target": targets[-1],
            "previous_target": targets[-2] if len(targets) > 1 else None,
            "valid_from": start,
            "valid_to": end,
            "is_current": end is None,
            "version": number,
        }
        for number, ((_, sector), start, end) in enumerate(
            zip(runs, starts, [*starts[1:], None], strict=True), start=1
        )
    ]


@settings(max_examples=300, deadline=None)
@given(LOADS)
def test_history_is_what_was_declared_when(loads):
    rows = load(
        *(
            [
                row(sector, "N", note, target, symbol)
                for symbol, (sector, note, target) in one.items()
            ]
            for one in loads
        )
    )
    for symbol in "XYZ":
        mine = [r for r in rows if r["symbol"] == symbol]
        wanted = replayed(loads, symbol)
        assert [{k: r[k] for k in w} for r, w in zip(mine, wanted, strict=True)] == wanted
        for one, following in pairwise(mine):
            assert one["valid_from"] < one["valid_to"] == following["valid_from"]
