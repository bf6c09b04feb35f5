"""One producer process of a campaign: publishes until it is told to stop, and keeps the account of what it sent in two files.

stack_producer.py FOLDER SEED
`sent-SEED.ndjson` gets every record before it is published (batch, good or broken), `account-SEED.ndjson` a line a batch once its fate
is known. What stands in the first and not in the second was under way when the process was killed.
"""

from __future__ import annotations

import base64
import json
import random
import signal
import sys
import threading
import uuid
from datetime import UTC, datetime
from pathlib import Path

from tests.integration.campaign_truth import BROKEN, TABLES, make_event

from soundlake.errors import Retryable
from soundlake.settings import load_settings
from soundlake.wiring import open_broker


def make_batch(chance: random.Random, topic: str) -> list[tuple[dict[str, object], bytes, bytes]]:
    """Records with what is written down of them: good ones, some twice, and some that cannot be decoded."""
    events = [make_event(chance, TABLES[topic][1], datetime.now(UTC)) for _ in range(chance.choice((1, 20, 150, 400)))]
    events += [chance.choice(events) for _ in range(len(events) // 50)]
    batch = [({"event": event}, str(event["user_id"]).encode(), json.dumps(event, ensure_ascii=False).encode()) for event in events]
    for _ in range(chance.randrange(3)):
        value = chance.choice(BROKEN) + b"   " + uuid.uuid4().hex.encode()
        batch.append(({"broken": base64.b64encode(value).decode()}, b"broken", value))
    chance.shuffle(batch)
    return batch


def main() -> int:
    folder, seed = Path(sys.argv[1]), int(sys.argv[2])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    chance, broker, number = random.Random(seed), open_broker(load_settings()), 0
    with (folder / f"sent-{seed}.ndjson").open("a") as sent, (folder / f"account-{seed}.ndjson").open("a") as account:
        while not stop.wait(0.1):
            number += 1
            topic = chance.choice(list(TABLES))
            batch = make_batch(chance, topic)
            sent.write("".join(json.dumps({"batch": number, **told}) + "\n" for told, _, _ in batch))
            sent.flush()
            try:
                delivery = broker.append(topic, [key for _, key, _ in batch], [value for _, _, value in batch])
                fate = {"batch": number, "failed": list(delivery.failed), "unsure": list(delivery.unsure)}
            except Retryable:
                fate = {"batch": number, "failed": list(range(len(batch))), "unsure": []}
            account.write(json.dumps(fate) + "\n")
            account.flush()
    broker.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
