"""Spark in tests: its jars, an archive of its classes, and one session a test process that leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import psutil
import pytest

from soundlake.errors import Unavailable
from soundlake.local_files import hold_lock
from soundlake.operations.servers.jars import SPARK_JARS, install_jars
from soundlake.operations.servers.programs import find_spark_java
from soundlake.settings import load_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["make_java_options", "spark", "spark_jars"]

_ONE_COMPILER = "-XX:TieredStopAtLevel=1"
"""A test's Java ends before the work of its second compiler would pay off."""
_ARCHIVE = "classes.jsa"


def make_java_options(jars: Path) -> str:
    """Options for a short-lived Java: one compiler, Spark's classes from an archive (17 instead of 28 s of processor time a start)."""
    return f"{_ONE_COMPILER} -XX:SharedArchiveFile={jars / _ARCHIVE} -Xlog:disable -Xlog:all=error:stderr"


@pytest.fixture(scope="session")
def spark_jars() -> Path:
    """The folder of Spark's jars, fetched the first time."""
    try:
        find_spark_java()
        jars = install_jars(SPARK_JARS, load_settings().servers.downloads.expanduser().absolute() / "spark")
    except Unavailable as error:
        pytest.skip(f"no Spark: {error}")
    with hold_lock(jars / f"{_ARCHIVE}.lock"):
        if not (jars / _ARCHIVE).exists():
            _archive_classes(jars)
    return jars


@pytest.fixture(scope="session")
def spark(spark_jars, tmp_path_factory) -> Iterator[SparkSession]:
    """A session on this machine with two slots."""
    with _open_session(tmp_path_factory.mktemp("spark"), spark_jars, make_java_options(spark_jars)) as session:
        yield session


@contextmanager
def _open_session(folder: Path, jars: Path, java_options: str) -> Iterator[SparkSession]:
    from soundlake.streaming.deployment import Cluster
    from soundlake.streaming.session import make_scratch, open_session

    with make_scratch(folder) as scratch:
        session = open_session(Cluster("local[2]", str(scratch), str(jars), properties={"spark.driver.defaultJavaOptions": java_options}))
        yield session
        session.stop()


def _archive_classes(jars: Path) -> None:
    """Run Spark once in a process of its own; its Java writes the archive when it ends. Without an archive tests are only slower."""
    command = [sys.executable, "-m", "tests.spark", str(jars)]
    with suppress(subprocess.SubprocessError, psutil.TimeoutExpired):
        done = subprocess.run(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True, check=True, timeout=300)
        with suppress(psutil.NoSuchProcess):
            psutil.Process(int(done.stdout)).wait(180)
        (jars / f".{_ARCHIVE}.part").replace(jars / _ARCHIVE)


def _run_once(jars: Path) -> None:
    """Use what most tests need classes for, a shuffle and a Delta table; print the process id of Java, which ends after this process."""
    options = f"{_ONE_COMPILER} -XX:ArchiveClassesAtExit={jars / f'.{_ARCHIVE}.part'} -Xlog:disable"
    with TemporaryDirectory() as folder, _open_session(Path(folder), jars, options) as session:
        session.range(1_000).selectExpr("id % 7 as k").groupBy("k").count().write.format("delta").save(f"file://{folder}/table")
        session.read.format("delta").load(f"file://{folder}/table").count()
        print(next(process.pid for process in psutil.Process().children(recursive=True) if process.name() == "java"))


if __name__ == "__main__":
    _run_once(Path(sys.argv[1]))
