"""Real servers on this machine, without Docker: Kafka, an S3 store, Redis; all on 127.0.0.1, each in a folder of its own."""

from soundlake.operations.servers.jars import KAFKA_JARS, install_jars
from soundlake.operations.servers.kafka import KafkaServer
from soundlake.operations.servers.object_store import ObjectStore
from soundlake.operations.servers.ports import find_free_block
from soundlake.operations.servers.protocol import Server
from soundlake.operations.servers.redis import RedisServer

__all__ = ["KAFKA_JARS", "KafkaServer", "ObjectStore", "RedisServer", "Server", "find_free_block", "install_jars"]
