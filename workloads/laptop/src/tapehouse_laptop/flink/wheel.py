"""Flink's own files, which the PyFlink wheel carries, and what is put beside them."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tapehouse_laptop import jars, jvm, toolchain
from tapehouse_laptop.errors import LaptopError
from tapehouse_laptop.flink.config import module_options

JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
MEMORY_TOOL = "org.apache.flink.runtime.util.bash.BashJavaUtils"
CLIENT_HEAP = ("-Xmx512m", "-Xms64m")


@dataclass(frozen=True, slots=True)
class Wheel:
    """Where Flink is on this machine."""

    python: Path
    home: Path
    """The package directory, which is a FLINK_HOME."""
    lib: Path
    """Flink's own jars."""
    libraries: Path
    """Connectors and functions."""
    java: Path
    java_options: tuple[str, ...]

    @classmethod
    def find(cls) -> "Wheel":
        """The one of the streams environment; jars are fetched when they are not there yet.

        Raises:
            LaptopError: no PyFlink, no Java, or a download failed.
        """
        environment = toolchain.streams_environment()
        found = sorted(environment.glob("lib/python*/site-packages/pyflink/conf/config.yaml"))
        if not found:
            raise LaptopError(f"{environment} holds no PyFlink; run `make setup`")
        home = found[0].parents[1]
        options = module_options(found[0].read_text())
        java = toolchain.java().executable
        python = environment / "bin" / "python"
        return cls(python, home, jars.flink_home(), jars.flink(), java, tuple(options))

    def class_path(self) -> str:
        """All jars of Flink, connectors and functions: as PyFlink's own JVM has them, in its order,
        so that one archive serves all."""
        python = (self.home / "opt").glob("flink-python*.jar")
        return os.pathsep.join(map(str, [*self.lib.glob("*.jar"), *python, self.libraries / "*"]))

    @property
    def memory_tool(self) -> str:
        """The class path of the program that turns memory settings into JVM options."""
        jar = self.home / "bin" / "bash-java-utils.jar"
        dist = next((self.home / "lib").glob("flink-dist-*.jar"))
        return os.pathsep.join(map(str, (jar, dist)))

    def client_environment(
        self, conf: Path, logs: Path, scratch: Path, archive: Iterable[str]
    ) -> dict[str, str]:
        """What makes PyFlink start its own JVM with our configuration and jars."""
        options = [*CLIENT_HEAP, *jvm.BRIEF, *archive, temporary(scratch), *self.java_options]
        return {
            "FLINK_HOME": str(self.home),
            "FLINK_CONF_DIR": str(conf),
            "FLINK_LIB_DIR": str(self.lib),
            "FLINK_OPT_DIR": str(self.home / "opt"),
            "FLINK_PLUGINS_DIR": str(conf),
            "FLINK_LOG_DIR": str(logs),
            "FLINK_ENV_JAVA_OPTS": " ".join(options),
            "LOG4J_PROPERTIES": str(conf / "log4j.properties"),
            "HADOOP_CLASSPATH": f"{self.libraries}/*",
            "JAVA_HOME": str(self.java.parents[1]),
        }


def temporary(scratch: Path) -> str:
    """Where a JVM unpacks what it carries: killed ones leave 60 MB behind."""
    return f"-Djava.io.tmpdir={scratch}"
