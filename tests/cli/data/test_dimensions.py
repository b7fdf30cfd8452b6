"""Dimensions of `tapehouse test`: declared rows, rows in files, and what is missing."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tapehouse_cli.data.commands import test as command
from tapehouse_cli.data.declared import Declared
from tapehouse_cli.data.dimensions import asked, write
from tapehouse_laptop.errors import LaptopError
from tapehouse_operator.emit.sql import inserts

from tests.cli.data.test_replay import rows
from tests.local.alerting import anomalies, movements
from tests.local.platform import LOCAL
from tests.local.recording import Record, events, moment, session

SYMBOLS = {
    "kind": "LakehouseTable",
    "metadata": {"name": "dim-symbol"},
    "spec": {
        "identifier": "dim.dim_symbol",
        "columns": [{"name": n} for n in ("symbol", "sector", "size", "valid_from", "valid_to")],
        "rows": {"inline": [{"symbol": "A", "sector": "Tech", "size": 1.5}]},
    },
}
DECLARED = Declared({("LakehouseTable", "dim-symbol"): SYMBOLS})
WANTED = {"dim.dim_symbol": "silver.trades"}


def written(directory: Path, **given: Path) -> list[dict[str, Any]]:
    files = {name.replace("__", "."): [file] for name, file in given.items()}
    write(directory / "dimensions", WANTED, files, DECLARED)
    lines = (directory / "dimensions/dim.dim_symbol.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_lookups_are_found_in_the_sql() -> None:
    sql = "INSERT INTO silver.t (a) SELECT Dim_As_Of( 'dim.x', s, t)['a'] FROM u;"
    assert asked(inserts(sql)) == {"dim.x": "silver.t"}
    assert asked(inserts("INSERT INTO silver.t (a) SELECT s FROM u;")) == {}


def test_declared_rows_hold_always(tmp_path: Path) -> None:
    assert written(tmp_path) == [
        {
            "key": "A",
            "from": None,
            "to": None,
            "row": {"symbol": "A", "sector": "Tech", "size": "1.5"},
        }
    ]


def test_rows_in_a_file_have_their_time(tmp_path: Path) -> None:
    file = tmp_path / "symbols.csv"
    file.write_text("symbol,sector,valid_from\nA,Tech,\nA,Media,2026-01-02T00:00:00Z\n")
    first, second = written(tmp_path, dim__dim_symbol=file)
    assert (first["row"]["sector"], first["from"]) == ("Tech", None)
    assert (second["key"], second["from"]) == ("A", "2026-01-02T00:00:00.000000Z")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"symbol": "A", "secter": "x"}, r"rows\.jsonl:1: secter: the columns are symbol, sector"),
        ({"symbol": "A", "valid_from": "soon"}, r"rows\.jsonl:1: valid_from: "),
    ],
)
def test_rows_that_do_not_fit_are_named(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    with pytest.raises(LaptopError, match=said):
        written(tmp_path, dim__dim_symbol=rows(tmp_path / "rows.jsonl", row))


def test_what_nobody_gives_or_asks_is_named(tmp_path: Path) -> None:
    with pytest.raises(LaptopError, match=r"silver\.t asks for dim\.x .*--dimension dim\.x=FILE"):
        write(tmp_path / "a", {"dim.x": "silver.t"}, {}, DECLARED)
    with pytest.raises(LaptopError, match=r"dim\.y: no dimension .*: dim\.dim_symbol"):
        write(tmp_path / "b", WANTED, {"dim.y": [tmp_path]}, DECLARED)


@pytest.mark.local
def test_the_shipped_job_alerts_and_enriches_as_its_rules_say(tmp_path: Path) -> None:
    """Also after a minute so large that doubles would remember it."""
    frames = session(31, moment(2019, 3, 8, 20), moment(2019, 3, 9, 2), 1200)
    trades: list[Record] = events(frames, "TradeExecuted")
    trades[300]["quantity"] = 1_000_000_000
    for trade in trades:
        del trade["arrival"]
    symbols = tmp_path / "symbols.csv"
    symbols.write_text(
        "symbol,sector,valid_from\nAAPL,Fruit,\nAAPL,Telephones,2019-03-09T00:00:00Z\n"
    )
    sectors = [
        {"trade_id": t["trade_id"], "sector": _sector(t["symbol"], t["timestamp"])} for t in trades
    ]
    given = rows(tmp_path / "trades.jsonl", *trades)
    moves, odd = movements(trades), anomalies(trades)
    expected = {
        "silver.trades": rows(tmp_path / "sectors.jsonl", *sectors),
        "alerts.price-movement": rows(tmp_path / "moves.jsonl", *moves),
        "alerts.anomalies": rows(tmp_path / "anomalies.jsonl", *odd),
        "gold.alerts": rows(tmp_path / "alerts.jsonl", *moves, *odd),
    }
    options = [
        option for each in expected.items() for option in ("--expect", "{}={}".format(*each))
    ]
    done = CliRunner().invoke(
        command,
        [
            *("refine", "-d", str(LOCAL), "--input", f"trades={given}"),
            *("--dimension", f"dim.dim_symbol={symbols}", *options),
        ],
    )
    assert done.exit_code == 0, done.output
    assert {line.split()[0] for line in done.stdout.splitlines()} == {"ok"}
    assert moves
    assert odd


def _sector(symbol: str, time: str) -> str | None:
    if symbol != "AAPL":
        return None
    return "Fruit" if time < "2019-03-09" else "Telephones"
