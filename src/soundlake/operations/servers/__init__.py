"""Local servers without Docker: Kafka, SeaweedFS (S3) and Redis, on 127.0.0.1, each in its own folder."""

from soundlake.operations.servers.jars import KAFKA_JARS, install_jars
from soundlake.operations.servers.kafka import KafkaServer
from soundlake.operations.servers.object_store import ObjectStore
from soundlake.operations.servers.ports import find_free_block
from soundlake.operations.servers.protocol import Server
from soundlake.operations.servers.redis import RedisServer

__all__ = ["KAFKA_JARS", "KafkaServer", "ObjectStore", "RedisServer", "Server", "find_free_block", "install_jars"]
