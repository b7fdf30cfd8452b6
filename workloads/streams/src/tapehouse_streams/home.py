"""Where PyFlink's own JVM finds the connectors, in a Pod whose image has no Flink home."""

import os
import tempfile

from tapehouse_streams.job import ROOT_VARIABLE

SMALL = "-Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
"""The JVM lives for a few seconds: no time is spent on making it fast."""


def settle() -> None:
    """Point PyFlink at `$TAPEHOUSE_ROOT/opt/flink/lib`; call it before PyFlink is imported.

    A Flink image says where its home is and needs none of this.
    """
    if "FLINK_HOME" in os.environ:
        return
    root = os.environ.get(ROOT_VARIABLE, "")
    os.environ.setdefault("HADOOP_CLASSPATH", f"{root}/opt/flink/lib/*")
    scratch = tempfile.gettempdir()
    os.environ.setdefault("JVM_ARGS", f"{SMALL} -Djava.io.tmpdir={scratch}")
    os.environ.setdefault("FLINK_LOG_DIR", scratch)
