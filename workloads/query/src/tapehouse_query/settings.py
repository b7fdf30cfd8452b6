"""Settings from the environment, checked once at start."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")


class SettingsError(Exception):
    """A variable is missing or wrong; the message names it, its value and the remedy."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the server reads from its environment."""

    host: str
    port: int
    catalog_uri: str
    catalog_prefix: str
    namespace: str
    environment: str
    kafka: Mapping[str, str] | None
    """librdkafka client settings without the bootstrap address; None = no live trades."""
    kafka_bootstrap: str | None
    """None = read it from `Kafka/<kafka_cluster>.status.listeners`."""
    kafka_cluster: str
    kafka_listener: str
    watchlists: str
    """A SQLite file, or a `postgresql://` URL."""
    duckdb_threads: int
    duckdb_memory: str
    workers: int
    timeout: float
    """Seconds one operation may take."""
    log_level: str


def from_env(env: Mapping[str, str]) -> Settings:
    """Read and check the settings.

    Raises:
        SettingsError: names the variable, its value and what is accepted.
    """
    return Settings(
        host=_read(env, "POD_IP", _address),
        port=_read(env, "PORT", _integer(1, 65535), "8080"),
        catalog_uri=_read(env, "CATALOG_URI", _url),
        catalog_prefix=env.get("CATALOG_PREFIX", ""),
        namespace=env.get("NAMESPACE", "default"),
        environment=env.get("ENVIRONMENT", ""),
        kafka=_kafka(env),
        kafka_bootstrap=env.get("KAFKA_BOOTSTRAP") or None,
        kafka_cluster=env.get("KAFKA_CLUSTER", "tape"),
        kafka_listener=env.get("KAFKA_LISTENER", "internal"),
        watchlists=_watchlists(env),
        duckdb_threads=_read(env, "DUCKDB_THREADS", _integer(1, 256), "2"),
        duckdb_memory=_read(env, "DUCKDB_MEMORY", _memory, "512MB"),
        workers=_read(env, "QUERY_WORKERS", _integer(1, 64), "4"),
        timeout=_read(env, "QUERY_TIMEOUT_SECONDS", _integer(1, 3600), "30"),
        log_level=_read(env, "LOG_LEVEL", _level, "INFO"),
    )


def _read(
    env: Mapping[str, str], name: str, parse: Callable[[str], T], default: str | None = None
) -> T:
    text = env.get(name) or default
    if text is None:
        raise SettingsError(f"{name} is not set: {parse.__doc__}")
    try:
        return parse(text)
    except ValueError as error:
        raise SettingsError(f"{name}: {text!r}: {parse.__doc__}") from error


def _address(text: str) -> str:
    """the IP address to listen on, as in 127.0.0.1"""
    return str(ip_address(text))


def _url(text: str) -> str:
    """the http(s) URL of the Iceberg REST catalog, as in http://127.0.0.1:8181"""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(text)
    return text


def _level(text: str) -> str:
    """one of DEBUG, INFO, WARNING, ERROR"""
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError(text)
    return text.upper()


def _memory(text: str) -> str:
    """a size with its unit, as in 512MB or 4GB"""
    if not (text[:-2].isdigit() and text[-2:] in ("MB", "GB")):
        raise ValueError(text)
    return text


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not low <= int(text) <= high:
            raise ValueError(text)
        return int(text)

    parse.__doc__ = f"a whole number from {low} to {high}"
    return parse


def _kafka(env: Mapping[str, str]) -> Mapping[str, str] | None:
    """Live trades need an address, or an identity with which to look the address up."""
    user = env.get("KAFKA_USER")
    if not user:
        return {} if env.get("KAFKA_BOOTSTRAP") else None
    if not env.get("KAFKA_PASSWORD"):
        raise SettingsError("KAFKA_PASSWORD is not set: the password of KAFKA_USER is needed")
    config = {
        "security.protocol": env.get("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT"),
        "sasl.mechanism": env.get("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512"),
        "sasl.username": user,
        "sasl.password": env["KAFKA_PASSWORD"],
    }
    if env.get("KAFKA_CA"):
        config["ssl.ca.location"] = env["KAFKA_CA"]
    return config


def _watchlists(env: Mapping[str, str]) -> str:
    if url := env.get("WATCHLISTS_URL"):
        return url
    data = env.get("TAPEHOUSE_DATA")
    return f"{data}/query/watchlists.sqlite" if data else ""
