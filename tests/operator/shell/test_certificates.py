"""The admission server's certificates: good ones stay, what is due is renewed in time."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from tapehouse_operator.shell.certificates import (
    AUTHORITY_LIFETIME,
    LIFETIME,
    RENEW_AUTHORITY_BEFORE,
    RENEW_BEFORE,
    Certificates,
    renewed,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOSTS = ("127.77.0.99", "operator.tapehouse.svc")
DAY = timedelta(days=1)


def test_good_ones_stay() -> None:
    first = renewed(None, HOSTS, NOW)
    assert renewed(first, HOSTS, NOW + LIFETIME - RENEW_BEFORE) is first


def test_a_certificate_is_renewed_before_it_ends_by_the_same_authority() -> None:
    first = renewed(None, HOSTS, NOW)
    second = renewed(first, HOSTS, NOW + LIFETIME - RENEW_BEFORE + DAY)
    assert second.certificate != first.certificate
    assert second.authorities == first.authorities, "clients need not learn anything"
    assert x509.load_pem_x509_certificate(second.certificate).not_valid_after_utc == (
        NOW + 2 * LIFETIME - RENEW_BEFORE + DAY
    )


def test_another_address_needs_another_certificate() -> None:
    first = renewed(None, HOSTS, NOW)
    second = renewed(first, ("127.78.0.1",), NOW)
    assert second.authorities == first.authorities
    assert second.certificate != first.certificate


def test_an_authority_is_renewed_and_the_former_one_stays_trusted() -> None:
    first = renewed(None, HOSTS, NOW)
    late = NOW + AUTHORITY_LIFETIME - RENEW_AUTHORITY_BEFORE + DAY
    second = renewed(first, HOSTS, late)
    assert len(x509.load_pem_x509_certificates(second.authorities)) == 2
    assert second.authorities.endswith(first.authorities)
    assert renewed(second, HOSTS, late) is second
    third = renewed(second, HOSTS, NOW + AUTHORITY_LIFETIME + DAY)
    assert third.authorities.startswith(second.authorities[:200])


@pytest.mark.parametrize("broken", [b"", b"-----BEGIN CERTIFICATE-----\nx\n"])
def test_damaged_ones_are_made_again(broken: bytes) -> None:
    first = renewed(None, HOSTS, NOW)
    damaged = Certificates(broken, first.authority_key, first.certificate, first.key)
    assert len(x509.load_pem_x509_certificates(renewed(damaged, HOSTS, NOW).authorities)) == 1


def test_a_client_that_trusts_old_and_new_accepts_the_server(tmp_path: Path) -> None:
    start = datetime.now(UTC) - AUTHORITY_LIFETIME + RENEW_AUTHORITY_BEFORE - DAY
    first = renewed(None, ("127.0.0.1",), start)
    second = renewed(first, ("127.0.0.1",), datetime.now(UTC))
    assert second.authorities != first.authorities
    greet(tmp_path, second)


def greet(tmp_path: Path, made: Certificates) -> None:
    """One TLS handshake on loopback."""
    (tmp_path / "crt").write_bytes(made.certificate)
    (tmp_path / "key").write_bytes(made.key)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    client = ssl.create_default_context(cadata=made.authorities.decode())
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            accepted, _ = listening.accept()
            with server.wrap_socket(accepted, server_side=True) as connection:
                connection.sendall(b"hello")

        thread = threading.Thread(target=serve)
        thread.start()
        with (
            socket.create_connection(listening.getsockname(), timeout=10) as plain,
            client.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            assert connection.recv(5) == b"hello"
        thread.join(10)
