"""Behind `tapehouse support-bundle`: everything that helps to understand, and no secret."""

import asyncio
import base64
import importlib.metadata
import io
import json
import platform
import re
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import yaml
from tapehouse_laptop import toolchain
from tapehouse_laptop.components import components_file
from tapehouse_laptop.kubeapi import (
    CONFIG_MAPS,
    PODS,
    SECRETS,
    SERVICE_ACCOUNTS,
    ApiError,
    Kube,
    Manifest,
    Resource,
)
from tapehouse_laptop.net import Net
from tapehouse_laptop.state import State

from tapehouse_cli.platform import endpoints, up
from tapehouse_cli.platform.health import Health, lags, look, scrape
from tapehouse_cli.platform.status_view import known_resources

EVENTS = Resource("v1", "Event", "events")
OTHERS = (CONFIG_MAPS, PODS, SERVICE_ACCOUNTS, EVENTS)
"""Kinds besides those that say whether they are ready. Secrets are never asked for to be kept."""
TAIL = 256 * 1024
"""Bytes of the end of each log."""
SHORTEST = 4
"""Characters of a secret that is looked for: less would blot out words."""
HIDDEN = "<hidden>"
_IN_URL = re.compile(r"(\w+://[^\s/:@]*:)[^\s/@]+(@)")
_ASSIGNED = re.compile(
    r"""(?i)((?:password|passwd|secret|token|api[_-]?key)["']?[ \t]*[:=][ \t]*["']?)"""
    r"""(?!\$\{)[^\s"',;&}]+"""
)

Files = Mapping[str, str]
"""Texts by their path in the archive."""


def write(target: Path) -> int:
    """Write the archive of the installation that runs here; returns how many files it has.

    Raises:
        LaptopError: none runs.
        OSError: `target` cannot be written.
    """
    state = State.find()
    health = look()
    files, secrets = asyncio.run(_gather(state, health))
    pack(target, files, secrets)
    return len(files)


def pack(target: Path, files: Files, secrets: Iterable[str]) -> None:
    """Write a `.tar.gz` of the files without the secrets."""
    hide = hider(secrets)
    root = target.name.removesuffix(".tar.gz")
    with tarfile.open(target, "w:gz") as archive:
        for name, text in sorted(files.items()):
            raw = hide(text).encode()
            entry = tarfile.TarInfo(f"{root}/{name}")
            entry.size, entry.mtime, entry.mode = len(raw), int(time.time()), 0o600
            archive.addfile(entry, io.BytesIO(raw))
    target.chmod(0o600)


def hider(secrets: Iterable[str]) -> Callable[[str], str]:
    """What takes secrets out of a text: these, plain or in base64, and what looks like one."""
    forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
    known = (
        re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True))))
        if forms
        else None
    )

    def hide(text: str) -> str:
        if known:
            text = known.sub(HIDDEN, text)
        return _ASSIGNED.sub(rf"\1{HIDDEN}", _IN_URL.sub(rf"\1{HIDDEN}\2", text))

    return hide


def _forms(secret: str) -> Iterator[str]:
    """A secret as it may appear: whole or one of its lines, plain, as JSON or a URL, in base64."""
    for text in (secret.strip(), *secret.splitlines()):
        yield text
        yield json.dumps(text)[1:-1]
        yield json.dumps(text, ensure_ascii=False)[1:-1]
        yield quote(text, safe="")
        yield base64.b64encode(text.encode()).decode()


async def _gather(state: State, health: Health) -> tuple[dict[str, str], list[str]]:
    """The files, and the secrets that must not be in them."""
    installation = up.check_alive(state)
    files = {"health.txt": "\n".join(health.lines()), "versions.txt": "\n".join(_versions())}
    secrets: list[str] = []
    async with Kube.connect(state.kubeconfig) as kube:
        for namespace in installation.namespaces:
            for resource in (*known_resources().values(), *OTHERS):
                if items := await _listed(kube, resource, namespace):
                    files[f"resources/{namespace}/{resource.plural}.yaml"] = _dumped(items)
            secrets += [x for item in await _listed(kube, SECRETS, namespace) for x in _held(item)]
        net = Net.parse(installation.net)
        found = await endpoints.gather(kube, state, net, installation.namespaces)
    texts = await asyncio.to_thread(scrape, found["metrics"])
    files |= {f"metrics/{name.replace('/', '-')}.txt": text for name, text in texts.items()}
    files["lags.txt"] = "\n".join(
        f"{lag.what}\t{lag.of}\t{lag.seconds:.3f}" for lag in lags(texts, time.time())
    )
    return files | dict(_logs(state)), secrets + list(_own_secrets(state))


async def _listed(kube: Kube, resource: Resource, namespace: str) -> list[Manifest]:
    try:
        return (await kube.list(resource, namespace))[0]
    except ApiError:
        return []  # a kind that this installation does not have


def _dumped(items: Iterable[Manifest]) -> str:
    for item in items:
        item["metadata"].pop("managedFields", None)
    return yaml.safe_dump_all(items, sort_keys=False, allow_unicode=True)


def _held(secret: Manifest) -> Iterator[str]:
    for value in (secret.get("data") or {}).values():
        yield value
        yield base64.b64decode(value).decode(errors="replace")


def _own_secrets(state: State) -> Iterator[str]:
    """Keys and tokens of the control plane."""
    for file in (state.kubeconfig, *sorted(state.pki.glob("*"))):
        text = file.read_text(errors="replace") if file.is_file() else ""
        yield from re.findall(r"(?:token|client-key-data): (\S+)", text)
        if file.suffix in (".key", ".csv", ".token"):
            yield text


def _logs(state: State) -> Iterator[tuple[str, str]]:
    for path in sorted(state.logs.rglob("*.log")):
        with path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(max(size - TAIL, 0))
            yield f"logs/{path.relative_to(state.logs)}", file.read().decode(errors="replace")
    table = components_file(state)
    if table.exists():
        yield "components.json", table.read_text()


def _versions() -> Iterator[str]:
    yield f"system {platform.platform()}"
    yield f"python {platform.python_version()}"
    java = str(toolchain.java().executable)
    done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    yield done.stderr.partition("\n")[0]
    for found in sorted(importlib.metadata.distributions(), key=lambda x: x.name.lower()):
        yield f"{found.name} {found.version}"
