"""Fault injection into the real stack: Kafka, object store, sink and producer are killed and paused at random, then records are counted.

    python -m tests.integration.stack_campaign [--kills 300] [--seed 1] [--folder DIR] [--at-most SECONDS]

Faults: SIGKILL of the sink, the broker, the store or the producer; SIGSTOP of the broker or the store, longer than the broker's session
(3 s); SIGSTOP of the sink until another one has its partitions; a second sink in the group; a sink outside of the group on the same
partitions, until one stops. The first faults are one of each type, in random order. Sinks are `soundlake sink` as users run it, restarted
when they end, each in its own home. The report is one line of JSON; `timeouts` counts conditions that were waited for and never came.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from tests.integration.campaign_truth import TABLES
from tests.process_pause import pause_process, resume_process
from tests.server_process import ServerProcess
from tests.servers import make_kafka_server

from soundlake.broker.kafka.consumer_group import SESSION_SECONDS
from soundlake.errors import DataError
from soundlake.operations.servers import KAFKA_JARS, ObjectStore, find_free_block, install_jars
from soundlake.settings import extend_environment, load_settings

ROOT = Path(__file__).resolve().parents[2]
LAKE_CHECK = ROOT.parent / "shared" / "tools" / "lake_check.py"
LAKE = "s3://spotify-data-lake"
PAUSE_SECONDS = 4.0
STORING_SHARE = 0.8  # of the faults hit a sink that is storing, the others a sink that is starting
FAULTS = {
    "kill sink": 8, "kill broker": 3, "kill store": 3, "kill producer": 3, "share": 2, "race": 2, "pause sink": 2, "pause broker": 1,
    "pause store": 1,
}  # fmt: skip
TIMEOUT_SECONDS = 90.0


@dataclass
class Stack:
    """The running processes."""

    folder: Path
    broker: ServerProcess
    store: ServerProcess
    seed: int
    sinks: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ends: Counter[int] = field(default_factory=Counter)
    timeouts: Counter[str] = field(default_factory=Counter)
    producer: subprocess.Popen[bytes] | None = None
    producers: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """The settings of sinks and producers."""
        return extend_environment({
            "SOUNDLAKE_BROKER": f"kafka://{self.broker.server.address}",
            "SOUNDLAKE_LAKE": LAKE,
            "SOUNDLAKE_SINK_MAX_EVENTS": "2000",
            "SOUNDLAKE_SINK_MAX_SECONDS": "0.3",
            **self.store.server.storage_options,
        })  # fmt: skip

    def is_storing(self) -> Callable[[], bool]:
        """Returns a check whether the table of plays has got a commit since this call; false while the store does not answer."""
        options, uri = self.store.server.storage_options, f"{LAKE}/bronze/plays"

        def read_version() -> int:
            try:
                return DeltaTable(uri, storage_options=options).version() if DeltaTable.is_deltatable(uri, options) else -1
            except (OSError, DeltaError):  # a store that has just restarted
                return -1

        before = read_version()
        return lambda: read_version() not in (-1, 0, before)

    def run(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Start a process with its own home and log."""
        environment = {**self.environment, "SOUNDLAKE_HOME": str(self.folder / f"home-{name}")}
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT)

    def soundlake(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a `soundlake` command."""
        return self.run(name, str(Path(sys.executable).with_name("soundlake")), *arguments)

    def start_sink(self, name: str, *options: str) -> None:
        """Start a sink, or restart it if it has ended."""
        found = self.sinks.get(name)
        if found is not None and found.poll() is not None:
            self.ends[found.returncode] += 1
        if found is None or found.poll() is not None:
            self.sinks[name] = self.soundlake(f"sink-{name}", "sink", "--compact-every", "0", *options)

    def end_sink(self, name: str, number: signal.Signals) -> None:
        """Send a sink a signal and wait for its end."""
        if (found := self.sinks.pop(name, None)) is not None:
            found.send_signal(number)
            self.ends[found.wait(60)] += 1

    def start_producer(self) -> None:
        """Start a producer with new events."""
        self.producers += 1
        command = (sys.executable, "-m", "tests.integration.stack_producer", str(self.folder), str(self.seed * 10_000 + self.producers))
        self.producer = self.run("producer", *command)

    def end_producer(self, number: signal.Signals) -> None:
        """Send the producer a signal and wait for its end."""
        assert self.producer is not None
        self.producer.send_signal(number)
        self.producer.wait(180)

    def wait_until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait for a condition; a timeout is counted."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                self.timeouts[what] += 1
                return
            time.sleep(0.1)

    def count_shares(self, name: str) -> int:
        """How often a sink has been assigned partitions."""
        return (self.folder / f"sink-{name}.log").read_text(errors="replace").count("this sink reads ")

    def has_one_stopped(self) -> bool:
        """Whether one of two racing sinks has stopped because of the other; one that has drained the log is restarted."""
        if any(sink.poll() == DataError.exit_code for sink in self.sinks.values()):
            return True
        self.start_sink("b", "--until-drained")
        return False


def inject_fault(stack: Stack, fault: str, rng: random.Random) -> None:
    """Inject one fault, and undo it."""
    match fault:
        case "kill sink":
            stack.end_sink("a", signal.SIGKILL)
        case "kill broker" | "kill store":
            server = stack.broker if fault == "kill broker" else stack.store
            server.kill()
            time.sleep(rng.uniform(0, 2))
            server.start()
        case "kill producer":
            stack.end_producer(signal.SIGKILL)
            stack.start_producer()
        case "share":
            stack.start_sink("b")
            shares = stack.count_shares("b")
            stack.wait_until("share", lambda: stack.count_shares("b") > shares)
            time.sleep(rng.uniform(0, 2))
            stack.end_sink("b", rng.choice((signal.SIGKILL, signal.SIGTERM)))
        case "race":
            stack.wait_until("race", stack.has_one_stopped)
            stack.end_sink("b", signal.SIGKILL)
        case "pause sink":
            paused = stack.sinks["a"]
            pause_process(paused.pid)
            lost_at = time.monotonic() + SESSION_SECONDS + 1
            has_taken_over, shares = stack.is_storing(), stack.count_shares("a")
            stack.start_sink("b")
            stack.wait_until("pause sink: another takes over", lambda: time.monotonic() > lost_at and has_taken_over())
            resume_process(paused.pid)
            stack.wait_until("pause sink: it is back", lambda: stack.count_shares("a") > shares or paused.poll() is not None)
            stack.end_sink("b", signal.SIGKILL)
        case _:
            server = stack.broker if fault == "pause broker" else stack.store
            server.pause()
            time.sleep(PAUSE_SECONDS)
            server.resume()


def draw_faults(rng: random.Random, count: int) -> list[str]:
    """One of each type in random order, then by weight."""
    first = rng.sample(list(FAULTS), min(count, len(FAULTS)))
    return first + rng.choices(list(FAULTS), weights=list(FAULTS.values()), k=count - len(first))


def run_campaign(folder: Path, *, kills: int, seed: int, at_most_seconds: float = math.inf) -> dict[str, object]:
    """Inject `kills` faults while events arrive, or until the time is over; drain the log and count. `ok`: no record lost or duplicated."""
    rng, started = random.Random(seed), time.monotonic()
    jars = install_jars(KAFKA_JARS, load_settings().servers.downloads / "kafka")
    kafka, objects = make_kafka_server(folder / "kafka", jars), ObjectStore(folder / "store", find_free_block())
    with ServerProcess(kafka, folder) as broker, ServerProcess(objects, folder) as store:
        stack, faults = Stack(folder, broker, store, seed), Counter[str]()
        assert stack.soundlake("topics", "topics", "create", "--partitions", "3").wait(60) == 0, (folder / "topics.log").read_text()
        stack.start_producer()
        try:
            for fault in draw_faults(rng, kills):
                if time.monotonic() - started > at_most_seconds:
                    break
                is_storing = stack.is_storing()
                stack.start_sink("a")
                if rng.random() < STORING_SHARE:
                    stack.wait_until("storing", is_storing)
                time.sleep(rng.uniform(0, 1.5))
                inject_fault(stack, fault, rng)
                faults[fault] += 1
            stack.end_producer(signal.SIGTERM)
        finally:
            for process in (*stack.sinks.values(), stack.producer):
                process.kill()
                process.wait()
        drained = [stack.soundlake("drain", "sink", "--until-drained", "--compact-every", "0").wait(600) for _ in range(2)]
        found = check(stack) if drained == [0, 0] else {"drained": drained, "ok": False}
    output = "".join(
        path.read_text(errors="replace") for path in folder.glob("*.log") if path.name.startswith(("sink", "drain", "producer"))
    )
    found["unexpected"] = output.count("unexpected ") + output.count("Traceback")
    found["ok"] = bool(found["ok"]) and not found["unexpected"] and not stack.timeouts
    ends = {str(code): count for code, count in sorted(stack.ends.items())}
    found["stopped_by_position"] = stack.ends[DataError.exit_code]
    return {
        "kills": faults.total(),
        "seed": seed,
        "seconds": round(time.monotonic() - started),
        "faults": dict(faults),
        "sink_exits": ends,
        "timeouts": dict(stack.timeouts),
        **found,
    }


def read_outcomes(folder: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """Each record that was sent, with its outcome: `acknowledged`, `failed` or `unsure`."""
    for path in sorted(folder.glob("sent-*.ndjson")):
        lines = (folder / path.name.replace("sent", "outcomes")).read_text().splitlines()
        outcomes = {outcome["batch"]: outcome for outcome in map(json.loads, lines)}
        places: Counter[int] = Counter()
        for line in path.read_text().splitlines():
            record = json.loads(line)
            place, outcome = places[record["batch"]], outcomes.get(record["batch"])
            places[record["batch"]] += 1
            if outcome is None or place in outcome["unsure"]:
                yield "unsure", record
            else:
                yield "failed" if place in outcome["failed"] else "acknowledged", record


def check(stack: Stack) -> dict[str, object]:
    """Count by our own comparison, and by the independent checker where it exists."""
    records = list(read_outcomes(stack.folder))
    good = {outcome: [r["event"] for f, r in records if f == outcome and "event" in r] for outcome in ("acknowledged", "unsure")}
    broken = [hashlib.sha256(base64.b64decode(r["broken"])).hexdigest() for f, r in records if f == "acknowledged" and "broken" in r]
    found = count_records(stack, good, broken)
    if LAKE_CHECK.exists():
        files = {"truth": good["acknowledged"], "sent": good["unsure"], "broken": [{"sha256": digest} for digest in broken]}
        command = [sys.executable, str(LAKE_CHECK), "--lake", LAKE]
        for name, rows in files.items():
            path = stack.folder / f"{name}.ndjson"
            path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
            command += [f"--{name}", str(path)] if rows else []
        environment = {**os.environ, **stack.store.server.storage_options}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        found["lake_check"] = json.loads(done.stdout) if done.stdout else {"error": done.stderr[-500:], "ok": False}
        found["ok"] = found["ok"] and found["lake_check"]["ok"]
    return found


def count_records(stack: Stack, good: dict[str, list[dict[str, object]]], broken: list[str]) -> dict[str, object]:
    """Compare bronze with the records by event_id and bytes, without code of the project."""
    acknowledged = Counter(str(event["event_id"]) for event in good["acknowledged"])
    sent = acknowledged + Counter(str(event["event_id"]) for event in good["unsure"])
    stored: Counter[str] = Counter()
    for name, _ in TABLES.values():
        table = DeltaTable(f"{LAKE}/bronze/{name}", storage_options=stack.store.server.storage_options)
        stored.update(table.to_pyarrow_table(columns=["event_id"])["event_id"].to_pylist())
    rejected = DeltaTable(f"{LAKE}/bronze/rejected", storage_options=stack.store.server.storage_options).to_pyarrow_table(columns=["value"])
    rejected = Counter(hashlib.sha256(value).hexdigest() for value in rejected["value"].to_pylist())
    lost, invented = (acknowledged - stored).total(), (stored - sent).total()
    rejected_lost = sum(rejected[digest] != 1 for digest in broken)
    return {
        "acknowledged": acknowledged.total(), "unsure": sent.total() - acknowledged.total(), "stored": stored.total(),
        "lost": lost, "invented_or_doubled": invented, "rejected_lost": rejected_lost, "ok": not (lost or invented or rejected_lost),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-most", type=float, default=math.inf, help="seconds after which no more faults are injected")
    parser.add_argument("--folder", type=Path, help="folder for the data, which is kept; default: one that is deleted at the end")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soundlake-campaign-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        report = run_campaign(folder, kills=options.kills, seed=options.seed, at_most_seconds=options.at_most)
    print(json.dumps(report))
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
