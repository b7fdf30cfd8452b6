"""How to reach an API server: one context of a kubeconfig, read."""

import base64
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach an API server, as one kubeconfig context says."""

    server: str
    tls: ssl.SSLContext
    token: str | None = None

    @classmethod
    def load(cls, kubeconfig: Path, context: str | None = None) -> "Access":
        """Read `kubeconfig`; client certificates and tokens, inline or as files.

        Raises:
            ValueError: the context is not in the file.
        """
        config = yaml.safe_load(kubeconfig.read_text())
        chosen = _named(config, "contexts", context or config.get("current-context", ""))["context"]
        cluster = _named(config, "clusters", chosen["cluster"])["cluster"]
        user = _named(config, "users", chosen["user"])["user"]
        authority = _material(cluster, "certificate-authority")
        tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
        _load_client_certificate(tls, user)
        token = user.get("token")
        if "tokenFile" in user:
            token = Path(user["tokenFile"]).read_text().strip()
        return cls(cluster["server"], tls, token)


def _named(config: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    for entry in config.get(section) or []:
        if entry["name"] == name:
            return dict(entry)
    raise ValueError(f"kubeconfig has no entry {name!r} in {section}")


def _material(holder: dict[str, Any], name: str) -> bytes | None:
    if inline := holder.get(f"{name}-data"):
        return base64.b64decode(inline)
    return Path(holder[name]).read_bytes() if name in holder else None


def _load_client_certificate(tls: ssl.SSLContext, user: dict[str, Any]) -> None:
    certificate, key = _material(user, "client-certificate"), _material(user, "client-key")
    if certificate is None or key is None:
        return
    # The ssl module only reads files.
    with tempfile.NamedTemporaryFile() as pem:
        pem.write(certificate + b"\n" + key)
        pem.flush()
        tls.load_cert_chain(pem.name)
