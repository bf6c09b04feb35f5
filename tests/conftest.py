"""How hypothesis hunts: the same cases every time in the quick suites, new ones in `make soak`. Machines are shared: no deadlines."""

from hypothesis import settings
from tests.browser import browser, start_dashboard
from tests.servers import kafka_jars, kafka_server, object_store, redis_server
from tests.spark import spark, spark_jars

__all__ = ["browser", "kafka_jars", "kafka_server", "object_store", "redis_server", "spark", "spark_jars", "start_dashboard"]

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("hunting", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("repeatable")
