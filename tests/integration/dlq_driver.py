"""One replay of rejected records that kills itself at a given point or time; the deployment is that of its settings.

python -m tests.integration.dlq_driver TO [--kill-at POINT N] [--kill-after SECONDS] [--hold PID]
`--hold` pauses the broker before the second chunk is published, and kills this process once the chunk was sent.
Prints each step when it starts, and at the end the report, as lines of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
from collections import Counter
from contextlib import closing

from tests.process_pause import pause_process

from soundlake.operations.dead_letters import DeadLetterFilter, Replayer
from soundlake.progress import StepList
from soundlake.settings import load_settings
from soundlake.wiring import open_broker, open_lake

IN_FLIGHT_SECONDS = {"kafka": 1.0}
SENT_SECONDS = 1.0


class PrintedSteps(StepList):
    """Prints each step when it starts."""

    def begin(self, step: str, total: int | None = None) -> None:
        print(json.dumps({"step": step}), flush=True)
        super().begin(step, total)


def kill_after(seconds: float) -> None:
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
    timer.daemon = True
    timer.start()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("to")
    parser.add_argument("--kill-at", nargs=2)
    parser.add_argument("--kill-after", type=float)
    parser.add_argument("--hold", type=int)
    options = parser.parse_args()
    settings, passed = load_settings(), Counter[str]()

    def checkpoint(point: str) -> None:
        passed[point] += 1
        if options.kill_at == [point, str(passed[point])]:
            os.kill(os.getpid(), signal.SIGKILL)
        if options.hold is not None and (point, passed[point]) == ("intent_recorded", 2):
            pause_process(options.hold)
            kill_after(SENT_SECONDS)

    with closing(open_broker(settings)) as broker:
        in_flight = IN_FLIGHT_SECONDS.get(settings.broker_address.scheme, 0.0)
        replayer = Replayer(
            broker, open_lake(settings), settings.home, PrintedSteps(), in_flight_seconds=in_flight, on_checkpoint=checkpoint
        )
        if options.kill_after is not None:
            kill_after(options.kill_after)
        print(json.dumps(replayer.replay(DeadLetterFilter(), target=options.to).as_json()), flush=True)


if __name__ == "__main__":
    main()
