"""A replay of rejected records that is killed several times publishes each of them once, on the embedded log and on Kafka."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.integration.campaign_truth import make_event
from tests.integration.dlq_driver import IN_FLIGHT_SECONDS
from tests.server_process import ServerProcess
from tests.servers import make_kafka_server
from typer.testing import CliRunner

from soundlake.cli.app import app
from soundlake.contract import TOPICS
from soundlake.settings import load_settings
from soundlake.wiring import open_broker

ROOT = Path(__file__).parents[2]
DRIVER = (sys.executable, "-m", "tests.integration.dlq_driver")  # a module, since it imports `tests`
RECORDS = 9_000


class Deployment:
    """A home with a log of its own. Commands run in this process; only replays that are killed have their own."""

    def __init__(self, home: Path, broker: str) -> None:
        self.environment = {
            **os.environ, "SOUNDLAKE_HOME": str(home), "SOUNDLAKE_BROKER": broker, "SOUNDLAKE_LAKE": f"file://{home}/lake",
            "SOUNDLAKE_TOPIC_PARTITIONS": "3",
        }  # fmt: skip
        self._settings = load_settings(home=home, broker=broker, topics={"partitions": 3})

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)

    def soundlake(self, *arguments: str) -> dict[str, object]:
        done = CliRunner().invoke(app, [*arguments, "--json"], env=self.environment)
        assert done.exit_code == 0, (done.exception, done.output)
        return json.loads(done.stdout)

    def publish_likes_among_plays(self) -> Counter[bytes]:
        """Records that will be rejected, some of them with equal bytes."""
        chance = random.Random(20261126)
        events = [make_event(chance, "like", datetime.now(UTC)) for _ in range(RECORDS)]
        values = [json.dumps(event, ensure_ascii=False).encode() for event in events]
        values += chance.choices(values, k=RECORDS // 50)
        with closing(open_broker(self._settings)) as broker:
            broker.create_topics(TOPICS, partitions=3)
            keys = [str(json.loads(value)["user_id"]).encode() for value in values]
            assert broker.append("user_plays", keys, values).acknowledged == len(values)
        return Counter(values)

    def read_likes(self) -> Counter[bytes]:
        """The records in the topic to which they are replayed."""
        found: Counter[bytes] = Counter()
        with closing(open_broker(self._settings)) as broker:
            for partition, held in broker.offsets("user_likes").items():
                offset = held.begin
                while offset < held.end:
                    records = broker.fetch("user_likes", partition, offset, max_records=10_000, max_bytes=2**25)
                    found.update(records.values.to_pylist())
                    offset += len(records)
        return found


@pytest.fixture(params=["embedded", "kafka"])
def deployment(request, tmp_path) -> Iterator[Deployment]:
    if request.param == "embedded":
        yield Deployment(tmp_path, f"sqlite://{tmp_path}/broker.db")
    else:
        yield request.getfixturevalue("on_kafka")[0]


@pytest.fixture
def on_kafka(kafka_jars, tmp_path) -> Iterator[tuple[Deployment, ServerProcess]]:
    server = make_kafka_server(tmp_path / "kafka", kafka_jars)
    with ServerProcess(server, tmp_path) as process:
        yield Deployment(tmp_path, f"kafka://{server.address}"), process


def kill_replays(deployment: Deployment, choose: Callable[[int], tuple[str, ...]], rounds: int) -> int:
    """Run replays that are to be killed; returns how many were."""
    killed = 0
    for number in range(rounds):
        done = deployment.run(*DRIVER, "user_likes", *choose(number))
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        killed += done.returncode == -signal.SIGKILL
    return killed


def test_a_replay_killed_at_each_point_and_at_random_publishes_each_record_once(deployment):
    sent = deployment.publish_likes_among_plays()
    deployment.soundlake("sink", "--until-drained")
    points = [("intent_recorded", "1"), ("published", "1"), ("result_recorded", "1"), ("published", "2"), ("intent_recorded", "2")]
    assert kill_replays(deployment, lambda number: ("--kill-at", *points[number]), len(points)) == len(points)
    chance = random.Random(1)
    assert kill_replays(deployment, lambda _: ("--kill-after", f"{chance.uniform(0, 0.6):.2f}"), 4) >= 1
    last = deployment.soundlake("dlq", "replay", "--to", "user_likes", "--reason", "wrong_topic")
    assert (last["unsure"], last["interrupted_unknown"]) == (0, 0)
    assert deployment.read_likes() == sent
    again = deployment.soundlake("dlq", "replay", "--to", "user_likes")
    assert (again["replayed"], again["replayed_before"]) == (0, sent.total())
    stored = deployment.soundlake("sink", "--until-drained")
    likes = stored["topics"]["user_likes"]
    assert (likes["events"], likes["rejected"], likes["held_back"]) == (sent.total(), 0, 0)
    listed = deployment.soundlake("dlq", "list", "--limit", "1")
    assert (listed["total"], listed["replayed"], listed["by_reason"]) == (sent.total(), sent.total(), {"wrong_topic": sent.total()})


def test_records_that_a_dead_replay_sent_to_a_paused_broker_are_waited_for(on_kafka):
    """The request is in the broker's socket until the broker resumes: long after the entry, and after the next replay has begun to wait."""
    deployment, broker = on_kafka
    sent = deployment.publish_likes_among_plays()
    deployment.soundlake("sink", "--until-drained")
    done = deployment.run(*DRIVER, "user_likes", "--hold", str(broker.pid))
    assert done.returncode == -signal.SIGKILL, done.stderr
    command = (*DRIVER, "user_likes")
    with subprocess.Popen(command, env=deployment.environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as replay:
        assert json.loads(replay.stdout.readline()) == {"step": "wait for records in flight"}
        with pytest.raises(subprocess.TimeoutExpired):
            replay.wait(3 * IN_FLIGHT_SECONDS["kafka"])
        broker.resume()
        output = replay.communicate(timeout=120)[0]
    if replay.returncode:  # no answer in ten seconds, since the broker was slow to resume: the error says to run it again
        output = deployment.run(*command).stdout
    report = json.loads(output.splitlines()[-1])
    assert report["interrupted_published"] > 0
    assert (report["unsure"], report["interrupted_unknown"]) == (0, 0)
    assert deployment.read_likes() == sent
