"""Spark in tests: its jars, an archive of its classes, and one session a test process that leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.java_start import archive_classes, list_java_options

from soundlake.errors import Unavailable
from soundlake.operations.servers.jars import SPARK_JARS, install_jars
from soundlake.operations.servers.programs import find_spark_java
from soundlake.settings import load_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["make_java_options", "spark", "spark_jars"]


def make_java_options(jars: Path) -> str:
    """Options for a short-lived Java of Spark, as JAVA_TOOL_OPTIONS takes them."""
    return " ".join(list_java_options(jars))


@pytest.fixture(scope="session")
def spark_jars() -> Path:
    """The folder of Spark's jars, fetched the first time."""
    try:
        find_spark_java()
        jars = install_jars(SPARK_JARS, load_settings().servers.downloads.expanduser().absolute() / "spark")
    except Unavailable as error:
        pytest.skip(f"no Spark: {error}")
    archive_classes(jars, partial(_run_in_a_process, jars))
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


def _run_in_a_process(jars: Path, java_options: tuple[str, ...]) -> None:
    """Run Spark once in a process of its own, whose Java ends after it."""
    command = [sys.executable, "-m", "tests.spark", str(jars), *java_options]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(done.stdout)).wait(180)


def _run_once(jars: Path, java_options: str) -> None:
    """Use what most tests need classes for, a batch of the job's largest query; print the process id of Java."""
    from py4j.protocol import Py4JJavaError
    from tests.integration.streaming_frames import make_records, make_value

    from soundlake.streaming.decoding import RECORD_DDL
    from soundlake.streaming.deployment import StreamLocations
    from soundlake.streaming.enrichment import TrackDimension
    from soundlake.streaming.processed import ProcessedWriter, TableMaintenance, process
    from soundlake.streaming.processed_tables import ensure_tables

    with TemporaryDirectory() as folder, _open_session(Path(folder), jars, java_options) as session:
        locations = StreamLocations({}, f"file://{folder}/processed", f"file://{folder}/silver", f"file://{folder}/checkpoints")
        ensure_tables(locations)
        make_records(session, [make_value(), b"{"]).write.parquet(f"file://{folder}/records")
        tracks, maintenance = TrackDimension(session, locations.silver), TableMaintenance(session, locations)
        writer = ProcessedWriter(locations, tracks, lambda: "archive", maintenance)
        rows = process(session.readStream.schema(RECORD_DDL).parquet(f"file://{folder}/records"), repeat_minutes=10)
        stream = rows.writeStream.foreachBatch(writer.write).option("checkpointLocation", locations.checkpoint("processed"))
        stream.trigger(availableNow=True).start().awaitTermination()
        nobody = {"kafka.bootstrap.servers": "127.0.0.1:9", "subscribe": "t"}
        quick = {"kafka.default.api.timeout.ms": "1000", "kafka.request.timeout.ms": "1000"}
        with suppress(Py4JJavaError):  # no broker answers; Kafka's classes are loaded
            session.read.format("kafka").options(**nobody, **quick).load().count()
        session.sql(f"optimize delta.`{locations.table('plays')}`")
        assert session.read.format("delta").load(locations.table("plays")).count() == 1
        print(next(process.pid for process in psutil.Process().children(recursive=True) if process.name() == "java"))


if __name__ == "__main__":
    _run_once(Path(sys.argv[1]), " ".join(sys.argv[2:]))
