"""A Pod's volumes as directories, linked into each container's root under their mount paths."""

import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tapehouse_laptop.kubeapi import Manifest
from tapehouse_laptop.node.environment import resource
from tapehouse_laptop.node.sources import SourceError, Sources, field, pick
from tapehouse_laptop.state import write_atomically

Files = dict[str, bytes]
TokenFor = Callable[[Manifest], bytes]
"""The current token for a `serviceAccountToken` projection."""
DATA, FRESH = "..data", "..data_tmp"
UNAVAILABLE = (
    "on the laptop a volume is a configMap, secret, projected, downwardAPI or emptyDir; durable "
    "data goes under $(TAPEHOUSE_DATA)"
)


@dataclass(frozen=True, slots=True)
class Volumes:
    """The volumes of one Pod, below `directory`."""

    pod: Manifest
    directory: Path
    sources: Sources
    address: str
    token_for: TokenFor

    def refresh(self) -> None:
        """Write what is missing or has changed; each volume changes as a whole.

        Raises:
            SourceError: a source is missing, or the laptop has no such volume.
        """
        for volume in self.pod["spec"].get("volumes") or ():
            target = self.directory / volume["name"]
            target.mkdir(parents=True, exist_ok=True)
            if "emptyDir" not in volume:
                publish(target, self._files(volume))

    def mount(self, container: Manifest, root: Path) -> None:
        """Link the container's volumes into `root`.

        Raises:
            SourceError: a mount names no volume of the Pod.
        """
        names = {volume["name"] for volume in self.pod["spec"].get("volumes") or ()}
        mounts = container.get("volumeMounts") or ()
        for mount in sorted(mounts, key=lambda mount: len(Path(mount["mountPath"]).parts)):
            if mount["name"] not in names:
                raise SourceError(f"volumeMount {mount['name']!r} names no volume of the Pod")
            source = self.directory / mount["name"] / mount.get("subPath", "")
            link(root / mount["mountPath"].lstrip("/"), source)

    def _files(self, volume: Manifest) -> Files:
        if (config_map := volume.get("configMap")) is not None:
            return self._keyed("configmap", config_map["name"], config_map)
        if (secret := volume.get("secret")) is not None:
            return self._keyed("secret", secret["secretName"], secret)
        if (downward := volume.get("downwardAPI")) is not None:
            return self._downward(downward)
        if (projected := volume.get("projected")) is not None:
            files: Files = {}
            for source in projected.get("sources") or ():
                files |= self._projected(source)
            return files
        kind = next((key for key in volume if key != "name"), "?")
        raise SourceError(f"volume {volume['name']}: {kind}: {UNAVAILABLE}")

    def _projected(self, source: Manifest) -> Files:
        if (config_map := source.get("configMap")) is not None:
            return self._keyed("configmap", config_map["name"], config_map)
        if (secret := source.get("secret")) is not None:
            return self._keyed("secret", secret["name"], secret)
        if (downward := source.get("downwardAPI")) is not None:
            return self._downward(downward)
        if (token := source.get("serviceAccountToken")) is not None:
            return {token["path"]: self.token_for(token)}
        raise SourceError(f"projected volume: {sorted(source)}: {UNAVAILABLE}")

    def _keyed(self, kind: str, name: str, spec: Manifest) -> Files:
        read = self.sources.config_map if kind == "configmap" else self.sources.secret
        data = read(self.pod["metadata"]["namespace"], name)
        optional = bool(spec.get("optional"))
        if data is None and not optional:
            raise SourceError(f'{kind} "{name}" not found')
        if (items := spec.get("items")) is None:
            return data or {}
        files: Files = {}
        for item in items:
            value = pick(data, kind, name, item["key"], optional=optional)
            if value is not None:
                files[item["path"]] = value
        return files

    def _downward(self, spec: Manifest) -> Files:
        return {item["path"]: self._own(item).encode() for item in spec.get("items") or ()}

    def _own(self, item: Manifest) -> str:
        if reference := item.get("fieldRef"):
            return field(self.pod, reference["fieldPath"], self.address)
        reference = item["resourceFieldRef"]
        name = reference["containerName"]
        named = [c for c in self.pod["spec"]["containers"] if c["name"] == name]
        if not named:
            raise SourceError(f"resourceFieldRef names no container: {name!r}")
        return resource(named[0], reference)


def publish(target: Path, files: Mapping[str, bytes]) -> None:
    """Make `target` hold exactly `files`, all at once, by the kubelet's own scheme.

    The files are in a directory of their own; `..data` links to it and every visible name links
    through `..data`, so that one rename changes them all.
    """
    if _published(target) == files:
        return
    generation = target / f"..{uuid.uuid4().hex[:12]}"
    for path, content in files.items():
        write_atomically(generation / path, content)
    generation.mkdir(exist_ok=True)
    before = (target / DATA).readlink() if (target / DATA).is_symlink() else None
    (target / FRESH).unlink(missing_ok=True)
    (target / FRESH).symlink_to(generation.name)
    (target / FRESH).replace(target / DATA)
    visible = {Path(path).parts[0] for path in files}
    for name in visible:
        if not (target / name).is_symlink():
            (target / name).symlink_to(Path(DATA) / name)
    for stale in target.iterdir():
        if not stale.name.startswith("..") and stale.name not in visible:
            stale.unlink()
    if before:
        shutil.rmtree(target / before, ignore_errors=True)


def _published(target: Path) -> Files | None:
    data = target / DATA
    if not data.is_dir():
        return None
    found = (path for path in data.resolve().rglob("*") if path.is_file())
    return {str(path.relative_to(data.resolve())): path.read_bytes() for path in found}


def link(place: Path, target: Path) -> None:
    """Make `place` a symbolic link to `target`, replacing what an earlier run left there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        place.unlink()
    elif place.is_dir():
        shutil.rmtree(place)
    place.symlink_to(target)
