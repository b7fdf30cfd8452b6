"""Options of the JVMs that run here, and the archives with which they start for half the work.

An archive holds what one program loads at every start, parsed and verified once for a machine, a
Java and a set of jars (Java's class data sharing). Without one a JVM starts as ever, only slower.
"""

from collections.abc import Iterable
from pathlib import Path

from tapehouse_laptop import cache, jars, toolchain

BRIEF = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""For what ends soon or through which no row passes: half its work would be compiling."""
PATIENT = (
    "-XX:Tier4InvocationThreshold=50000",
    "-XX:Tier4MinInvocationThreshold=6000",
    "-XX:Tier4CompileThreshold=150000",
    "-XX:Tier4BackEdgeThreshold=400000",
)
"""For what runs for long: ten times the usual counts. What is hot under load is compiled as well
as ever, a second later; at the start of a platform the compiler was a third of a JVM's work."""
KAFKA, CATALOG, FLINK = "kafka", "catalog", "flink"
ARCHIVES = (KAFKA, CATALOG, FLINK)


def archived(program: str) -> tuple[str, ...]:
    """The option that starts one of `ARCHIVES` from its archive, where there is one."""
    file = archive_file(cache.cache_dir() / f"archives-{digest()}", program)
    return (f"-XX:SharedArchiveFile={file}",) if file.exists() else ()


def archive_file(directory: Path, program: str) -> Path:
    """Where a program's archive is."""
    return directory / f"{program}.jsa"


def digest() -> str:
    """Of everything an archive depends on: Java itself refuses one of other or newer jars."""
    libraries = (jars.kafka(), jars.catalog(), jars.flink(), jars.flink_home())
    return cache.digest_of(toolchain.java().build, *(line for d in libraries for line in _jars(d)))


def _jars(directory: Path) -> Iterable[str]:
    for jar in sorted(directory.glob("*.jar")):
        found = jar.stat()
        yield f"{jar} {found.st_size} {found.st_mtime_ns}"
