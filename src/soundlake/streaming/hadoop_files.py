"""Small files wherever Hadoop keeps checkpoints: read and written through Spark's Java, without a query.

A query over one small file takes up to two seconds of processor time in a Java that has just started.
"""

from __future__ import annotations

from py4j.java_gateway import JavaObject, JVMView  # type: ignore[import-untyped]  # it has none
from pyspark.sql import SparkSession


def read_text(session: SparkSession, uri: str) -> str | None:
    """The text of a file; None if there is none. Raises Py4JJavaError, here and below, for a place that cannot be used."""
    files, path = _find(session, uri)
    return _read(session, files.open(path)) if files.exists(path) else None


def read_folder(session: SparkSession, uri: str) -> list[str]:
    """The texts of the files in a folder, but for those that Spark hides (_SUCCESS, .crc); empty if there is no folder."""
    files, folder = _find(session, uri)
    if not files.exists(folder):
        return []
    paths = [status.getPath() for status in files.listStatus(folder)]
    return [_read(session, files.open(path)) for path in paths if not path.getName().startswith(("_", "."))]


def replace_folder(session: SparkSession, uri: str, text: str) -> None:
    """Make the folder hold one file with this text and nothing else."""
    files, folder = _find(session, uri)
    files.delete(folder, True)  # noqa: FBT003  # Java's signature: with all that is in it
    stream = files.create(_find(session, f"{uri}/part-0.json")[1])
    try:
        stream.write(text.encode())
    finally:
        stream.close()


def _read(session: SparkSession, stream: JavaObject) -> str:
    try:
        return str(_java(session).org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
    finally:
        stream.close()


def _find(session: SparkSession, uri: str) -> tuple[JavaObject, JavaObject]:
    """The file system of a place, and its path there."""
    path = _java(session).org.apache.hadoop.fs.Path(uri)
    return path.getFileSystem(session.sparkContext._jsc.hadoopConfiguration()), path  # noqa: SLF001  # Python has no other access


def _java(session: SparkSession) -> JVMView:
    return session.sparkContext._jvm  # noqa: SLF001  # Python has no other access
