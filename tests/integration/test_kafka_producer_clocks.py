"""A topic that others made, with the producer's time (CreateTime): the sink warns at its start, and a rejection shows limit and time."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from tests.integration.kafka_cases import open_kafka
from typer.testing import CliRunner

from soundlake import wiring
from soundlake.cli.app import app
from soundlake.contract import TOPICS
from soundlake.contract.topics import PLAYS
from soundlake.settings import load_settings


def test_the_sink_warns_of_a_topic_with_the_producers_time_and_the_repair_silences_it(access, tmp_path, monkeypatch):
    admin = AdminClient({"bootstrap.servers": access.servers})
    admin.create_topics([NewTopic(PLAYS.name, 1, 1, config={"message.timestamp.type": "CreateTime", "retention.ms": "-1"})])[
        PLAYS.name
    ].result(30)
    with open_kafka(access) as broker:
        broker.create_topics(TOPICS, partitions=1)
    now = datetime.now(UTC).replace(microsecond=0)
    stamped = now - timedelta(days=30)
    event = {"event_id": str(uuid.uuid4()), "user_id": "ann", "played_at": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
    producer = Producer({"bootstrap.servers": access.servers})
    producer.produce(PLAYS.name, json.dumps(event).encode(), b"ann", timestamp=int(stamped.timestamp() * 1_000))
    producer.flush(30)
    monkeypatch.setenv("SOUNDLAKE_HOME", str(tmp_path))
    monkeypatch.setenv("SOUNDLAKE_BROKER", f"kafka://{access.servers}")

    drained = CliRunner().invoke(app, ["sink", "--until-drained", "--json"])
    assert drained.exit_code == 0, drained.exception
    assert (json.loads(drained.stdout)["events"], json.loads(drained.stdout)["rejected"]) == (0, 1)
    assert drained.stderr.count("message.timestamp.type is") == 1
    assert "user_plays: message.timestamp.type is CreateTime, expected LogAppendTime" in drained.stderr
    assert f"--bootstrap-server {access.servers} --alter --topic user_plays" in drained.stderr
    (rejected,) = wiring.open_lake(load_settings()).read("rejected").to_pylist()
    assert rejected["reason"] == "played_at_out_of_range"
    limit = stamped + timedelta(days=1)
    assert rejected["detail"] == (
        f'"{event["played_at"]}": the latest is {limit:%Y-%m-%dT%H:%M:%SZ}, '
        f"the record's time ({stamped:%Y-%m-%dT%H:%M:%SZ}) plus one day"
    )  # fmt: skip

    assert CliRunner().invoke(app, ["topics", "create", "--repair", "--partitions", "1"]).exit_code == 0
    assert json.loads(CliRunner().invoke(app, ["dlq", "replay", "--json"]).stdout)["replayed"] == 1
    drained = CliRunner().invoke(app, ["sink", "--until-drained", "--json"])
    assert (drained.exit_code, json.loads(drained.stdout)["events"]) == (0, 1)
    assert "message.timestamp.type" not in drained.stderr
