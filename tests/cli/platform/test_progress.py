"""The status table: columns are never squeezed, what is not ready is never hidden."""

import pytest
from tapehouse_cli.platform.progress import table
from tapehouse_cli.platform.status_view import COMPONENT, Row, Transitions

LONG = "TopicsNotReady: " + "raw.orders: not observed yet; " * 12
ROWS = [
    Row("LakehouseTable", "gold-daily-summary", False, LONG),
    Row(COMPONENT, "kafka/tapehouse/tape", True, "127.77.0.20:9092"),
    Row("TradeFeed", "market", True),
]


def shown(width: int | None, height: int | None = None, rows: list[Row] = ROWS) -> list[str]:
    return [line.plain for line in table(rows, width, height)]


@pytest.mark.parametrize("width", [80, 120])
def test_kind_name_and_ready_stay_whole_and_the_message_is_cut(width: int) -> None:
    head, *rows = shown(width)
    assert head.split() == ["KIND", "NAME", "READY", "MESSAGE"]
    assert [row.split()[:3] for row in rows] == [
        ["component", "kafka/tapehouse/tape", "True"],
        ["LakehouseTable", "gold-daily-summary", "False"],
        ["TradeFeed", "market", "True"],
    ]
    assert max(map(len, rows)) == width
    assert rows[1].endswith("…")
    assert {row.index("True") for row in rows if "True" in row} == {head.index("READY")}


def test_a_narrow_terminal_gets_the_message_on_a_line_of_its_own() -> None:
    lines = shown(45)
    at = next(i for i, line in enumerate(lines) if line.startswith("LakehouseTable"))
    assert lines[at].split() == ["LakehouseTable", "gold-daily-summary", "False"]
    assert lines[at + 1].split()[0] == "TopicsNotReady:"


def test_a_pipe_gets_every_message_whole() -> None:
    assert any(line.endswith(LONG.strip()) for line in shown(None))


def test_what_is_not_ready_comes_first_on_a_low_screen() -> None:
    many = [Row("Pod", f"p{n:02}", n % 10 == 0) for n in range(40)]
    lines = shown(80, 22, many)
    assert len(lines) == 22
    assert "True" not in "".join(lines[1:-1])
    assert lines[-1] == "and 20 more, 16 of them not ready"


def test_only_transitions_are_reported() -> None:
    transitions = Transitions(ROWS)
    assert transitions.of(ROWS) == []
    changed = [ROWS[0], Row("TradeFeed", "market", False, "NotConnected: 0 of 1 Pods")]
    assert transitions.of(changed) == [
        "TradeFeed market: not ready NotConnected: 0 of 1 Pods",
        f"{COMPONENT} kafka/tapehouse/tape: gone",
    ]
    assert transitions.of(changed) == []
