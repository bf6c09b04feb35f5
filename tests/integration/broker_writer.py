"""Appends to an event log until it is done or killed, and prints what was acknowledged.

broker_writer.py FILE NAME SEED RECORDS: waits for a line on standard input, so that several can start at the same time. Values are
`NAME:number:digest:padding`; after each append the count so far and the id of the log are printed.
"""

from __future__ import annotations

import hashlib
import random
import sys
from pathlib import Path

from soundlake.broker import EmbeddedBroker
from soundlake.contract.topics import PLAYS, SKIPS

SIZES = (1, 3, 50, 700, 4_000, 12_000)


def make_value(name: str, number: int) -> bytes:
    """A value with its own digest, so that a torn one is recognized."""
    text = f"{name}:{number}"
    return f"{text}:{hashlib.sha256(text.encode()).hexdigest()}:".encode() + b"x" * (number % 400)


def main(path: Path, name: str, seed: int, records: int) -> None:
    """Append numbers from 0 on, in appends of very different sizes."""
    chance = random.Random(seed)
    broker = EmbeddedBroker(path)
    broker.create_topics([PLAYS, SKIPS], partitions=3)
    sent = 0
    while sent < records:
        numbers = range(sent, min(sent + chance.choice(SIZES), records))
        keys = [b"user-%d" % (number % 97) for number in numbers]
        delivery = broker.append(PLAYS.name, keys, [make_value(name, number) for number in numbers])
        assert delivery.acknowledged == len(numbers), delivery
        sent = numbers.stop
        print(sent, broker.log_id(PLAYS.name), flush=True)
    broker.close()


if __name__ == "__main__":
    sys.stdin.readline()
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
