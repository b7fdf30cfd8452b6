"""Bad surroundings are refused at start, by the variable's name and value."""

import pytest
from click.testing import CliRunner
from tapehouse_query.cli import main
from tapehouse_query.settings import from_env

GOOD = {"POD_IP": "127.0.0.1", "CATALOG_URI": "http://127.0.0.1:8181", "TAPEHOUSE_DATA": "/data"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"POD_IP": ""}, "POD_IP is not set: the IP address to listen on"),
        ({"POD_IP": "localhost"}, "POD_IP: 'localhost': the IP address"),
        ({"CATALOG_URI": "tape:8181"}, "CATALOG_URI: 'tape:8181': the http(s) URL"),
        ({"DUCKDB_MEMORY": "lots"}, "DUCKDB_MEMORY: 'lots': a size with its unit"),
        ({"QUERY_WORKERS": "0"}, "QUERY_WORKERS: '0': a whole number from 1 to 64"),
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL: 'LOUD': one of DEBUG"),
        ({"KAFKA_USER": "query"}, "KAFKA_PASSWORD is not set"),
    ],
)
def test_refused(changed: dict[str, str], message: str) -> None:
    unset = {"KAFKA_USER": "", "KAFKA_PASSWORD": "", "KAFKA_BOOTSTRAP": ""}
    result = CliRunner().invoke(main, ["serve"], env={**GOOD, **unset, **changed})
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


def test_defaults() -> None:
    settings = from_env(GOOD)
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.kafka is None
    assert settings.watchlists == "/data/query/watchlists.sqlite"
    given = from_env({**GOOD, "KAFKA_USER": "query", "KAFKA_PASSWORD": "p"})
    assert given.kafka == {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "query",
        "sasl.password": "p",
    }
