"""`feed.json` and the command line: errors name file, field, value and remedy."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tapehouse_feed import config
from tapehouse_feed.config import ConfigError

from tests.feed.feeds import PROGRAM, document, simulated


def written(home: Path, **changes: Any) -> Path:
    file = home / "feed.json"
    body = document("f", "127.0.0.1:9", simulated()) | changes
    file.write_text(json.dumps({k: v for k, v in body.items() if v is not ...}))
    return file


def test_the_operators_document_is_read(tmp_path: Path) -> None:
    loaded = config.load(written(tmp_path))
    assert len(loaded.events) == 9
    assert isinstance(loaded.source, config.SimulatorSource)
    assert len(loaded.topics()) == 7


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"source": simulated(tradesPerSecond="fast")}, 'source.tradesPerSecond: "fast": Expected'),
        ({"source": simulated(tradesPerSecond=-1)}, "source.tradesPerSecond: -1.0: give at least"),
        ({"source": simulated(symbols=[])}, "source.symbols: 0: give at least 1"),
        ({"source": simulated(faults={"late": 2})}, "source.faults.late: 2.0: give a share"),
        ({"source": {"type": "pigeon"}}, 'source.type: "pigeon": Invalid value'),
        ({"source": ...}, "missing required field `source`"),
        ({"events": []}, "events: []: declare at least one"),
        ({"events": [{"name": 5}]}, "events[0].name: 5: Expected `str`"),
        ({"kafka": {}}, "kafka: bootstrap.servers is missing"),
        (
            {"mapping": [{"when": {"field": "e", "equals": "x"}, "event": "No", "fields": {}}]},
            "mapping.event: 'No' is not one of TradeExecuted",
        ),
    ],
)
def test_bad_fields_are_named_with_their_values(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    file = written(tmp_path, **changes)
    with pytest.raises(ConfigError) as caught:
        config.load(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert says in str(caught.value)


def test_no_file_and_no_json(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"give the path of a feed\.json"):
        config.load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ConfigError, match="not JSON"):
        config.load(tmp_path / "bad.json")


def test_the_password_comes_from_the_environment(tmp_path: Path) -> None:
    loaded = config.load(written(tmp_path))
    assert config.kafka_client(loaded, {"KAFKA_PASSWORD": "p"})["sasl.password"] == "p"
    assert "sasl.password" not in config.kafka_client(loaded, {})


def test_headers_are_read_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "headers/secret").mkdir(parents=True)
    (tmp_path / "headers/secret/token").write_text("Bearer x\n")
    source = config.WebSocketSource("ws://a", {"Authorization": "headers/secret/token"})
    assert config.headers(source, tmp_path) == {"Authorization": "Bearer x"}
    missing = config.WebSocketSource("ws://a", {"Authorization": "headers/secret/none"})
    with pytest.raises(ConfigError, match="is the key in the Secret"):
        config.headers(missing, tmp_path)


@pytest.mark.parametrize("command", ["bridge", "simulator"])
def test_the_command_says_what_is_wrong_without_a_trace(tmp_path: Path, command: str) -> None:
    file = written(tmp_path, source={"type": "pigeon"})
    done = subprocess.run(
        [PROGRAM, command, file], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "pigeon" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_simulator_needs_a_simulated_source(tmp_path: Path) -> None:
    file = written(tmp_path, source={"type": "websocket", "url": "ws://a"})
    done = subprocess.run(
        [PROGRAM, "simulator", file], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "set it to simulator" in json.loads(done.stderr)["message"]
