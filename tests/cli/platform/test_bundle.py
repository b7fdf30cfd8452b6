"""The support bundle: everything that helps, and no secret in any form."""

import base64
import json
import tarfile
from pathlib import Path

import pytest
import yaml
from tapehouse_cli.platform.bundle import hider, pack
from tapehouse_laptop.kubeapi import SECRETS

PASSWORD = 'p"ss w0rd/+é'
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhki\nG9w0BAQEFAASC\n-----END KEY-----\n"
ENCODED = base64.b64encode(PASSWORD.encode()).decode()
FILES = {
    "resources/n/configmaps.yaml": yaml.safe_dump({"data": {"x": PASSWORD}}, allow_unicode=True),
    "logs/kafka.log": f"connecting as market with {PASSWORD}\nsasl {ENCODED}\n",
    "logs/operator.log": json.dumps({"message": "failed", "password": "other-one-2"}),
    "metrics/publisher.txt": "tapehouse_table_rows 5\n",
    "resources/n/pods.yaml": "url: wss://me:hunter22@stream.example.com/ws\ntoken: abc.def-123\n",
    "pki.txt": f"a key\n{KEY}",
    "ddl.sql": 'username="land-job" password="${env:KAFKA_PASSWORD}";',
}
FORBIDDEN = (PASSWORD, ENCODED, "other-one-2", "hunter22", "abc.def-123", "MIIEvQIBADANBgkqhki")


@pytest.fixture
def bundle(tmp_path: Path) -> dict[str, str]:
    target = tmp_path / "support.tar.gz"
    pack(target, FILES, [PASSWORD, KEY, "a", ""])
    assert target.stat().st_mode & 0o777 == 0o600
    with tarfile.open(target) as archive:
        return {
            entry.name.removeprefix("support/"): archive.extractfile(entry).read().decode()  # type: ignore[union-attr]
            for entry in archive
        }


def test_no_secret_is_in_the_bundle_in_any_form(bundle: dict[str, str]) -> None:
    everything = "\n".join(bundle.values())
    assert [secret for secret in FORBIDDEN if secret in everything] == []
    assert everything.count("<hidden>") >= len(FORBIDDEN)


def test_what_helps_is_there_and_can_be_read(bundle: dict[str, str]) -> None:
    assert set(bundle) == set(FILES)
    assert bundle["metrics/publisher.txt"] == FILES["metrics/publisher.txt"]
    assert bundle["ddl.sql"] == FILES["ddl.sql"], "a variable's name is no secret"
    assert "wss://me:<hidden>@stream.example.com/ws" in bundle["resources/n/pods.yaml"]
    assert bundle["logs/kafka.log"].startswith("connecting as market with <hidden>")


def test_a_secret_that_json_writes_otherwise_is_found() -> None:
    assert "w0rd" not in hider([PASSWORD])(json.dumps({"x": PASSWORD}))


def test_secrets_themselves_are_no_kind_of_the_bundle() -> None:
    from tapehouse_cli.platform import bundle

    assert SECRETS not in bundle.OTHERS
    assert "Secret" not in {kind for _, kind in bundle.known_resources()}
