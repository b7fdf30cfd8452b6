"""Java libraries: fetched by Maven once per machine, and the little Java code of this project."""

import os
import tempfile
import zipfile
from pathlib import Path

from tapehouse_laptop import cache, toolchain

SOURCES = Path(__file__).parents[2]
"""`workloads/laptop` of the checkout: `jars/<set>/pom.xml` and `java/<program>/`."""
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
RELEASE = "17"


def kafka(progress: cache.Progress = cache.silent) -> Path:
    """The directory of the broker's jars."""
    return _fetched("kafka", progress)


def flink(progress: cache.Progress = cache.silent) -> Path:
    """The directory of the connectors' jars, which go beside those of the PyFlink wheel."""
    return _fetched("flink", progress)


def catalog(progress: cache.Progress = cache.silent) -> Path:
    """The directory of the Iceberg REST catalog's jars, this project's own among them."""
    return _with_program("catalog", progress)


def prepare(progress: cache.Progress = cache.silent) -> None:
    """Fetch and compile everything.

    Raises:
        LaptopError: no Java, no Maven, or a download failed.
    """
    for prepared in (kafka, flink, catalog):
        prepared(progress)


def _pom(name: str) -> Path:
    return SOURCES / "jars" / name / "pom.xml"


def _fetched(name: str, progress: cache.Progress) -> Path:
    pom = _pom(name)
    return cache.entry(
        f"jars-{name}", cache.digest_of(pom), lambda at: _fetch(name, pom, at, progress), progress
    )


def _fetch(name: str, pom: Path, target: Path, progress: cache.Progress) -> None:
    options = ["-DincludeScope=runtime", f"-DoutputDirectory={target}"]
    argv: list[str | Path] = [toolchain.maven(), "-B", "-ntp", "-f", pom, COPY, *options]
    cache.run(argv, task=f"jars: {name}", progress=progress)


def _with_program(name: str, progress: cache.Progress) -> Path:
    libraries = _fetched(name, progress)
    sources = sorted((SOURCES / "java" / name).rglob("*.java"))
    digest = cache.digest_of(_pom(name), *sources)
    return cache.entry(
        name, digest, lambda at: _compile(name, sources, libraries, at, progress), progress
    )


def _compile(
    name: str, sources: list[Path], libraries: Path, target: Path, progress: cache.Progress
) -> None:
    jars = sorted(libraries.glob("*.jar"))
    with tempfile.TemporaryDirectory() as classes:
        arguments: list[str | Path] = [
            "-d",
            classes,
            "-cp",
            os.pathsep.join(map(str, jars)),
            *sources,
        ]
        cache.run([*_compiler(progress), *arguments], task=f"java: {name}", progress=progress)
        _pack(Path(classes), target / f"tapehouse-{name}.jar")
    for jar in jars:
        (target / jar.name).hardlink_to(jar)


def _compiler(progress: cache.Progress) -> list[str | Path]:
    java = toolchain.java()
    if java.compiler:
        return [java.compiler, "--release", RELEASE]
    # A bare run-time has neither javac nor the symbols of earlier releases.
    compiler = next(_fetched("compiler", progress).glob("ecj-*.jar"))
    return [java.executable, "-jar", compiler, "-source", RELEASE, "-target", RELEASE, "-nowarn"]


def _pack(classes: Path, jar: Path) -> None:
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path for path in classes.rglob("*") if path.is_file()):
            archive.write(file, file.relative_to(classes))
