"""What stands in for an image: a Python environment, or Java and a directory of jars."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tapehouse_laptop import cache, jars, jvm, toolchain

FEED = "feed"
PYTHON = (FEED, "lakehouse", "query", "operator")
STREAMS, CATALOG = "streams", "catalog"
KNOWN = (*PYTHON, STREAMS, CATALOG)
PREFIX = "tapehouse/"
JAVA_OPTIONS = "JDK_JAVA_OPTIONS"
"""What every `java` takes besides its arguments."""
VERDICTS = "TAPEHOUSE_VERDICTS"
"""Where the check of a job remembers what Flink could plan, for this set of jars."""


class UnknownImageError(Exception):
    """No stand-in for this image."""


@dataclass(frozen=True, slots=True)
class Image:
    """A stand-in for an image."""

    path: tuple[Path, ...]
    """Put first on PATH."""
    links: Mapping[str, Path] = field(default_factory=dict)
    """Links in the container's root, by path."""
    env: Mapping[str, str] = field(default_factory=dict)
    takes_in: bool = False
    """Whether it brings data in from outside: it stops when the disk is nearly full."""


def resolve(reference: str) -> Image:
    """The stand-in for `tapehouse/<name>[:tag][@digest]`, whatever the registry and the tag.

    Raises:
        UnknownImageError: the laptop has none.
        LaptopError: it has, but Java or the environment is missing.
    """
    name = _name(reference)
    if name in PYTHON:
        return Image((Path(sys.executable).parent,), takes_in=name == FEED)
    if name == STREAMS:
        return _streams()
    if name == CATALOG:
        image = _java({"opt/catalog/lib": jars.catalog()})
        options = " ".join(f'"{x}"' for x in (*jvm.PATIENT, *jvm.archived(jvm.CATALOG)))
        return Image(image.path, image.links, {**image.env, JAVA_OPTIONS: options})
    known = ", ".join(PREFIX + each for each in KNOWN)
    raise UnknownImageError(
        f'image "{reference}" has no stand-in on the laptop, which runs Pods as processes; '
        f"known are {known}"
    )


def _name(reference: str) -> str | None:
    bare = reference.partition("@")[0]
    head, slash, last = bare.rpartition("/")
    if not slash or head.rpartition("/")[2] != PREFIX.rstrip("/"):
        return None
    return last.partition(":")[0]


def _streams() -> Image:
    home, libraries = toolchain.streams_environment(), jars.flink()
    image = _java({"opt/flink/lib": libraries})
    env = {**image.env, VERDICTS: str(cache.cache_dir() / f"verdicts-{libraries.name}")}
    return Image((home / "bin", *image.path), image.links, env)


def _java(links: Mapping[str, Path]) -> Image:
    executable = toolchain.java().executable
    home = executable.parents[1]
    return Image((executable.parent,), links, {"JAVA_HOME": str(home)})
