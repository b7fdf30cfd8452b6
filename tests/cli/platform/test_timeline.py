"""The table of what took how long."""

import pytest
from rich.console import Console
from tapehouse_cli.platform import timeline
from tapehouse_cli.platform.status_view import COMPONENT, Row
from tapehouse_cli.platform.timeline import Timeline


def test_each_component_and_the_last_of_each_kind_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(timeline.time, "monotonic", lambda: now[0])
    taken = Timeline()
    broker = Row(COMPONENT, "broker", True)
    tables = [Row("LakehouseTable", "a", False), Row("LakehouseTable", "b", True)]
    for moment, rows in ((118.0, [broker]), (130.0, [broker, *tables]), (165.0, [broker])):
        now[0] = moment
        taken.rows(rows)
    now[0] = 171.0
    taken.rows([Row("LakehouseTable", "a", True), Row("StreamJob", "land", True)])
    console = Console(width=80)
    with console.capture() as shown:
        console.print(taken.table())
    assert [line.strip() for line in shown.get().splitlines()[1:]] == [
        "0:18         component broker",
        "1:11         2 LakehouseTables, a the last",
        "1:11         StreamJob land",
    ]
