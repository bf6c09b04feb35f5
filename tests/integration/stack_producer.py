"""One producer process of a campaign: publishes until SIGTERM, and records what it sent in two files.

python -m tests.integration.stack_producer FOLDER SEED
`sent-SEED.ndjson` gets every record before it is published (batch, good or broken), `outcomes-SEED.ndjson` one line per batch once its
outcome is known. A batch that is only in the first file was in flight when the process was killed.
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


def make_batch(rng: random.Random, topic: str) -> list[tuple[dict[str, object], bytes, bytes]]:
    """Records with their entry in the file: valid ones, some twice, and some that do not decode."""
    events = [make_event(rng, TABLES[topic][1], datetime.now(UTC)) for _ in range(rng.choice((1, 20, 150, 400)))]
    events += [rng.choice(events) for _ in range(len(events) // 50)]
    batch = [({"event": event}, str(event["user_id"]).encode(), json.dumps(event, ensure_ascii=False).encode()) for event in events]
    for _ in range(rng.randrange(3)):
        value = rng.choice(BROKEN) + b"   " + uuid.uuid4().hex.encode()
        batch.append(({"broken": base64.b64encode(value).decode()}, b"broken", value))
    rng.shuffle(batch)
    return batch


def main() -> int:
    folder, seed = Path(sys.argv[1]), int(sys.argv[2])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    rng, broker, number = random.Random(seed), open_broker(load_settings()), 0
    with (folder / f"sent-{seed}.ndjson").open("a") as sent, (folder / f"outcomes-{seed}.ndjson").open("a") as outcomes:
        while not stop.wait(0.1):
            number += 1
            topic = rng.choice(list(TABLES))
            batch = make_batch(rng, topic)
            sent.write("".join(json.dumps({"batch": number, **entry}) + "\n" for entry, _, _ in batch))
            sent.flush()
            try:
                delivery = broker.append(topic, [key for _, key, _ in batch], [value for _, _, value in batch])
                outcome = {"batch": number, "failed": list(delivery.failed), "unsure": list(delivery.unsure)}
            except Retryable:
                outcome = {"batch": number, "failed": list(range(len(batch))), "unsure": []}
            outcomes.write(json.dumps(outcome) + "\n")
            outcomes.flush()
    broker.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
