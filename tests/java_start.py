"""A Java that starts fast, for servers and jobs that a test runs for a minute."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil

from soundlake.errors import Unavailable
from soundlake.local_files import hold_lock
from soundlake.operations.servers.programs import find_java

__all__ = ["ONE_COMPILER", "archive_classes", "find_archive", "list_java_options"]

ONE_COMPILER = "-XX:TieredStopAtLevel=1"
"""A test's Java ends before the work of its second compiler would pay off."""


def find_archive(jars: Path) -> Path:
    """Where the archive of these jars is, once it is made. Java ignores one of other jars without a word, so its name identifies them.

    Java compares path, size and time of each jar: an archive that came along with a copied folder is of no use.
    """
    spark = find_spec("pyspark")
    folders = [jars.absolute()] if spark is None else [jars.absolute(), Path(str(spark.origin)).parent / "jars"]
    files = [find_java().resolve(), *(path for folder in folders for path in sorted(folder.glob("*.jar")))]
    known = "\n".join(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files)
    return jars / f"classes-{hashlib.sha256(known.encode()).hexdigest()[:12]}.jsa"


def list_java_options(jars: Path) -> tuple[str, ...]:
    """One compiler, and the classes of these jars from an archive, where there is one that fits.

    Processor time of a start: Spark with its first batch 25 → 18 s, Kafka with its formatting 15 → 4 s.
    """
    return (ONE_COMPILER, f"-XX:SharedArchiveFile={find_archive(jars)}", "-Xlog:disable", "-Xlog:all=error:stderr")


def archive_classes(jars: Path, run: Callable[[tuple[str, ...]], None]) -> None:
    """Make the archive of these jars the first time: `run` runs their Java with the given options until it has ended.

    On a machine so busy that this takes minutes, tests go without an archive: they are only slower.
    """
    archive = find_archive(jars)
    with hold_lock(archive.with_suffix(".lock")):
        if archive.exists():
            return
        part = archive.with_suffix(".part")
        with suppress(subprocess.TimeoutExpired, psutil.TimeoutExpired, Unavailable):
            run((ONE_COMPILER, f"-XX:ArchiveClassesAtExit={part}", "-Xlog:disable"))
            part.replace(archive)
