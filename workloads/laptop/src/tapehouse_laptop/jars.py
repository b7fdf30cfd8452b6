"""Java libraries: fetched by Maven once per machine, and the little Java code of this project."""

import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from tapehouse_laptop import cache, toolchain

SOURCES = Path(__file__).parents[2]
"""`workloads/laptop` of the checkout: `jars/<set>/pom.xml` and `java/<program>/`."""
FILES = SOURCES / "java" / "files"
"""How every program writes local files."""
CATALOG = SOURCES / "java" / "catalog"
FUNCTIONS = SOURCES.parent / "streams" / "java"
"""The functions that stream jobs add to Flink's own SQL."""
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
RELEASE = "17"
PLANNER_LOADER, PLANNER = "flink-table-planner-loader", "flink-table-planner.jar"
SERVICES = "META-INF/services"
"""Where Java looks for what a library adds to others: formats of tables."""


def kafka(progress: cache.Progress = cache.silent) -> Path:
    """The directory of the broker's jars."""
    return _fetched("kafka", progress)


def flink(progress: cache.Progress = cache.silent) -> Path:
    """The directory of connectors and functions, which go beside the jars of the PyFlink wheel."""
    environment = toolchain.streams_environment()
    wheel = environment.glob("lib/python*/site-packages/pyflink/lib/*.jar")
    return _with_program("flink", (FILES, FUNCTIONS), sorted(wheel), progress)


def flink_home(progress: cache.Progress = cache.silent) -> Path:
    """The jars of the PyFlink wheel, with the planner itself in place of its loader.

    The loader unpacks 45 MB at every start, and what it loads cannot be archived.
    """
    environment = toolchain.streams_environment()
    wheel = sorted(environment.glob("lib/python*/site-packages/pyflink/lib/*.jar"))
    digest = cache.digest_of(*map(str, wheel))
    return cache.entry("flink-home", digest, lambda at: _link_flink(wheel, at), progress)


def _link_flink(wheel: list[Path], target: Path) -> None:
    for jar in wheel:
        if PLANNER_LOADER in jar.name:
            with zipfile.ZipFile(jar) as archive:
                archive.extract(PLANNER, target)
        else:
            (target / jar.name).symlink_to(jar)


def catalog(progress: cache.Progress = cache.silent) -> Path:
    """The directory of the Iceberg REST catalog's jars, this project's own among them."""
    return _with_program("catalog", (FILES, CATALOG), [], progress)


def prepare(progress: cache.Progress = cache.silent) -> None:
    """Fetch and compile everything.

    Raises:
        LaptopError: no Java, no Maven, or a download failed.
    """
    for prepared in (kafka, flink, flink_home, catalog):
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


def _with_program(
    name: str, java: tuple[Path, ...], provided: list[Path], progress: cache.Progress
) -> Path:
    """The set `name` and what is compiled against it; `provided` jars are there anyway."""
    libraries = sorted(_fetched(name, progress).glob("*.jar"))
    sources = _files(java, "*")
    digest = cache.digest_of(_pom(name), *(jar.name for jar in provided), *sources)
    return cache.entry(
        name,
        digest,
        lambda at: _compile(name, java, libraries, provided, at, progress),
        progress,
    )


def _compile(
    name: str,
    java: tuple[Path, ...],
    libraries: list[Path],
    provided: list[Path],
    target: Path,
    progress: cache.Progress,
) -> None:
    class_path = os.pathsep.join(map(str, (*libraries, *provided)))
    with tempfile.TemporaryDirectory() as classes:
        arguments: list[str | Path] = ["-d", classes, "-cp", class_path, *_files(java, "*.java")]
        cache.run([*_compiler(progress), *arguments], task=f"java: {name}", progress=progress)
        for services in (tree / SERVICES for tree in java if (tree / SERVICES).is_dir()):
            shutil.copytree(services, Path(classes) / SERVICES)
        _pack(Path(classes), target / f"tapehouse-{name}.jar")
    for jar in libraries:
        (target / jar.name).hardlink_to(jar)


def _files(trees: tuple[Path, ...], pattern: str) -> list[Path]:
    return sorted(path for tree in trees for path in tree.rglob(pattern) if path.is_file())


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
