"""One Spark session a test process, begun with the first test that asks for it; a test takes frames from it and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from soundlake.errors import Unavailable
from soundlake.operations.servers.jars import SPARK_JARS, install_jars
from soundlake.operations.servers.programs import find_spark_java
from soundlake.settings import load_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["QUICK_JAVA", "spark", "spark_jars"]

QUICK_JAVA = "-XX:TieredStopAtLevel=1"
"""A test's Java is over before what its second compiler does would pay off."""


@pytest.fixture(scope="session")
def spark_jars() -> Path:
    """The folder of Spark's jars, fetched the first time."""
    try:
        find_spark_java()
        return install_jars(SPARK_JARS, load_settings().servers.downloads.expanduser().absolute() / "spark")
    except Unavailable as error:
        pytest.skip(f"no Spark: {error}")


@pytest.fixture(scope="session")
def spark(spark_jars, tmp_path_factory) -> Iterator[SparkSession]:
    """A session on this machine with two slots."""
    from soundlake.streaming.deployment import Cluster
    from soundlake.streaming.session import make_scratch, open_session

    with make_scratch(tmp_path_factory.mktemp("spark")) as scratch:
        quick = {"spark.driver.defaultJavaOptions": QUICK_JAVA}
        session = open_session(Cluster("local[2]", str(scratch), str(spark_jars), properties=quick))
        yield session
        session.stop()
