"""Log lines: the fields that every program writes."""

import json
import logging
import sys
from datetime import datetime, timedelta

from tapehouse_contracts.logs import formatter


def test_a_line_has_the_fields_of_every_program() -> None:
    record = logging.makeLogRecord(
        {
            "name": "tapehouse.bridge",
            "levelname": "WARNING",
            "msg": "lost %s",
            "args": ("M\u00fcV",),
        }
    )
    record.path = "/a"
    line = formatter().format(record)
    found = json.loads(line)
    assert datetime.fromisoformat(found.pop("time")).utcoffset() == timedelta(0)
    assert found == {
        "level": "WARNING",
        "logger": "tapehouse.bridge",
        "message": "lost M\u00fcV",
        "path": "/a",
    }
    assert "M\u00fcV" in line


def test_an_exception_is_one_field_of_the_same_line() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        record = logging.makeLogRecord({"msg": "failed", "exc_info": sys.exc_info()})
    line = formatter().format(record)
    assert "\n" not in line
    assert "ValueError: broken" in json.loads(line)["exception"]
