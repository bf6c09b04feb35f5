"""Messages in the formats before Kafka 0.11 (magic 0 and 1), and the produce requests that carried them."""

from __future__ import annotations

import socket
import struct
import zlib
from collections.abc import Sequence

_NO_TRANSACTION = b"\xff\xff"  # a transactional id that is null; requests have it from version 3 on


def make_message(offset: int, magic: int, timestamp_ms: int, key: bytes, value: bytes) -> bytes:
    """One message as it is on disk and on the wire; magic 0 has no timestamp."""
    stamp = struct.pack(">q", timestamp_ms) if magic else b""
    body = struct.pack(">bb", magic, 0) + stamp + struct.pack(">i", len(key)) + key + struct.pack(">i", len(value)) + value
    return struct.pack(">qiI", offset, len(body) + 4, zlib.crc32(body)) + body


def make_messages(magic: int, timestamp_ms: int, keys: Sequence[bytes], values: Sequence[bytes], first: int = 0) -> bytes:
    """A run of messages."""
    return b"".join(
        make_message(offset, magic, timestamp_ms, key, value) for offset, (key, value) in enumerate(zip(keys, values, strict=True), first)
    )


def produce(address: str, topic: str, messages: bytes, *, version: int) -> int | None:
    """Send a produce request of this version for partition 0; the answer's error code, None if the broker hangs up."""
    host, port = address.split(":")
    body = struct.pack(">hhih", 0, version, 1, 4) + b"test" + (_NO_TRANSACTION if version >= 3 else b"")
    body += struct.pack(">hii", -1, 10_000, 1) + struct.pack(">h", len(topic)) + topic.encode()
    body += struct.pack(">iii", 1, 0, len(messages)) + messages
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        answer = b""
        while len(answer) < 4 or len(answer) < 4 + struct.unpack(">i", answer[:4])[0]:
            if not (more := connection.recv(4_096)):
                return None
            answer += more
    return int(struct.unpack_from(">h", answer, 4 + 4 + 4 + 2 + len(topic) + 4 + 4)[0])
