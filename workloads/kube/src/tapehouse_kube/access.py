"""How to reach the API server: the Pod's service account, or a kubeconfig."""

import base64
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import yaml

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Access:
    """An API server and the credentials for it."""

    server: str
    tls: ssl.SSLContext | None
    authorization: Callable[[], str]
    """The `Authorization` header of the next request, empty for certificates; tokens rotate."""
    namespace: str


def load_access(kubeconfig: str = "", context: str = "") -> Access:
    """Find the API server as `kubectl` does: the file given, `$KUBECONFIG`, the Pod, `~/.kube`.

    Raises:
        FileNotFoundError: there is no way to reach one.
        ValueError: the kubeconfig does not hold what it names.
    """
    explicit = kubeconfig or os.environ.get("KUBECONFIG", "")
    if not explicit and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return _in_cluster()
    path = Path(explicit.split(os.pathsep)[0] or Path.home() / ".kube" / "config").expanduser()
    if not path.exists():
        hint = (
            "set KUBECONFIG; `tapehouse info` prints it for a platform started with `tapehouse up`"
        )
        raise FileNotFoundError(f"no kubeconfig at {path}: {hint}")
    return _from_kubeconfig(path, context)


def _in_cluster() -> Access:
    token = SERVICE_ACCOUNT / "token"
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return Access(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        tls=ssl.create_default_context(cafile=str(SERVICE_ACCOUNT / "ca.crt")),
        authorization=lambda: f"Bearer {token.read_text().strip()}",
        namespace=(SERVICE_ACCOUNT / "namespace").read_text().strip(),
    )


def _from_kubeconfig(path: Path, context: str) -> Access:
    config = _parsed(path)
    name = context or config.get("current-context", "")
    chosen = _named(config, "contexts", name, path)["context"]
    cluster = _named(config, "clusters", chosen["cluster"], path)["cluster"]
    user = _named(config, "users", chosen["user"], path)["user"]
    return Access(
        server=cluster["server"].rstrip("/"),
        tls=_tls(cluster, user, path.parent) if cluster["server"].startswith("https") else None,
        authorization=_authorization(user, path, name),
        namespace=chosen.get("namespace", "default"),
    )


def _parsed(path: Path) -> Mapping[str, Any]:
    try:
        config = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a kubeconfig: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path}: not a kubeconfig: it holds {type(config).__name__}, not a map")
    return config


def _named(config: Mapping[str, Any], section: str, name: str, path: Path) -> Mapping[str, Any]:
    for entry in config.get(section) or ():
        if entry.get("name") == name:
            found: Mapping[str, Any] = entry
            return found
    raise ValueError(f"{path}: {section} has no entry named {name!r}")


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any], base: Path) -> ssl.SSLContext:
    authority = _bytes(cluster, "certificate-authority", base)
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = (_bytes(user, f"client-{part}", base) for part in ("certificate", "key"))
    if certificate and key:
        # The ssl module reads certificates from files only.
        with NamedTemporaryFile(suffix=".pem") as pem:
            pem.write(certificate + b"\n" + key)
            pem.flush()
            context.load_cert_chain(pem.name)
    return context


def _bytes(entry: Mapping[str, Any], field: str, base: Path) -> bytes:
    if inline := entry.get(f"{field}-data"):
        return base64.b64decode(inline)
    return (base / entry[field]).read_bytes() if entry.get(field) else b""


def _authorization(user: Mapping[str, Any], path: Path, context: str) -> Callable[[], str]:
    if "exec" in user or "auth-provider" in user:
        return _by_plugin(path, context)
    if token := user.get("token"):
        return lambda: f"Bearer {token}"
    if file := user.get("tokenFile"):
        return lambda: f"Bearer {(path.parent / file).read_text().strip()}"
    return lambda: ""


def _by_plugin(path: Path, context: str) -> Callable[[], str]:
    """The client library runs credential plugins; it is imported for them alone, because it
    costs 60 MB."""
    from kubernetes import client, config

    settings = client.Configuration()
    config.load_kube_config(str(path), context=context or None, client_configuration=settings)
    return lambda: settings.get_api_key_with_prefix("authorization") or ""
