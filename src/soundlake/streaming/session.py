"""The Spark session of the job, and its folder for temporary files."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from pyspark.sql import SparkSession

from soundlake.settings import set_variable
from soundlake.streaming.deployment import Cluster

_DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.databricks.delta.snapshotPartitions": "2",  # 50 by default: a second a commit on a small machine
    # Compaction skips files above this size: with the default of 1 GB it would rewrite the same rows again and again.
    "spark.databricks.delta.optimize.minFileSize": str(16 * 1024 * 1024),
    "spark.databricks.delta.optimize.maxFileSize": str(128 * 1024 * 1024),
    # Tasks of a vacuum's listing: the default of 10,000 takes a minute on a small machine, even for an empty table.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "16",
}
_JAVA_OPTIONS = "-XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError -Djava.net.preferIPv4Stack=true"
_LOCAL_FILES = {
    # Hadoop's own local file system starts programs (chmod, stat) for each file: seven programs and 40 to 90 ms for a file of a checkpoint,
    # and two queries write several every second. This one uses Java: 0.4 ms. The manager below uses it.
    "spark.hadoop.fs.file.impl": "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem",
    "spark.sql.streaming.checkpointFileManagerClass": (
        "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
    ),
}
_STATE = "spark.sql.streaming.stateStore"
_STREAMING = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.adaptive.enabled": "false",  # a stateful query keeps its number of partitions anyway
    "spark.sql.streaming.minBatchesToRetain": "20",
    "spark.sql.streaming.numRecentProgressUpdates": "10",  # all are fetched every second; 100 by default
    f"{_STATE}.providerClass": "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
    f"{_STATE}.rocksdb.changelogCheckpointing.enabled": "true",
    f"{_STATE}.rocksdb.boundedMemoryUsage": "true",
    f"{_STATE}.rocksdb.maxMemoryUsageMB": "192",
    # Shuffle files are deleted when Java collects their object, which is rare with free memory: 700 files were seen.
    "spark.cleaner.periodicGC.interval": "10min",
    # No port is needed, and one more could collide.
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
}


def open_session(cluster: Cluster) -> SparkSession:
    """The session of this process."""
    if cluster.master:
        # Java starts here. With one malloc arena a thread its native memory fragments (figures in docs/streaming.md).
        set_variable("MALLOC_ARENA_MAX", "2", unless_set=True)
    builder = SparkSession.builder.appName("soundlake-stream")
    for name, value in {**_DELTA, **_STREAMING, **_make_local_properties(cluster), **cluster.properties}.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("WARN")
    # Set now, keys go through the gateway's socket and on to the workers; the builder's options would be in `--conf`, visible to `ps`.
    hadoop = session.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001  # Python has no other access
    for name, value in cluster.keys.items():
        hadoop.set(name, value)
    if cluster.master:
        session.sparkContext.pythonExec = sys.executable  # workers on this machine use the same Python
    return session


@contextmanager
def make_scratch(folder: Path) -> Iterator[Path]:
    """A folder for this process below `folder`, removed at the end; folders of processes that were killed are removed now."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.iterdir():
        if left.name.isdecimal() and not psutil.pid_exists(int(left.name)):
            shutil.rmtree(left, ignore_errors=True)
    scratch = folder / str(os.getpid())
    scratch.mkdir(exist_ok=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _make_local_properties(cluster: Cluster) -> dict[str, str]:
    """The properties of a local cluster; empty for a submitted job."""
    if not cluster.master:
        return {}
    return {
        **_LOCAL_FILES,
        "spark.master": cluster.master,
        "spark.driver.extraClassPath": f"{cluster.jars}/*",  # spark.jars would copy them to the scratch each time
        "spark.driver.memory": cluster.memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"-Djava.io.tmpdir={cluster.scratch} {_JAVA_OPTIONS}",
        "spark.local.dir": cluster.scratch,
        "spark.sql.warehouse.dir": f"{cluster.scratch}/warehouse",
        "spark.sql.artifact.isolation.enabled": "false",
        "spark.sql.shuffle.partitions": str(cluster.shuffle_partitions),
    }
