"""`soundlake sink` as it is typed: a stopped topic, and `--accept-gap`."""

from __future__ import annotations

import json
import uuid
from contextlib import closing

import pytest
from typer.testing import CliRunner

from soundlake import wiring
from soundlake.cli.app import app
from soundlake.contract import TOPICS
from soundlake.errors import OffsetGap, UsageError
from soundlake.settings import load_settings


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs `soundlake sink …` beside a log that has deleted the likes 0 to 2 of 5 unread, after it had stored one of before."""
    monkeypatch.setenv("SOUNDLAKE_HOME", str(tmp_path))
    monkeypatch.setenv("SOUNDLAKE_TOPIC_PARTITIONS", "1")
    like = {"event_type": "like", "user_id": "ann", "played_at": "2026-11-22T16:00:00Z", "action": "like"}
    values = [json.dumps(like | {"event_id": str(uuid.UUID(int=number))}).encode() for number in range(6)]
    settings = load_settings()
    with closing(wiring.open_broker(settings)) as broker:
        broker.create_topics(TOPICS, partitions=1)
        broker.append("user_likes", [b"ann"], values[:1])
        wiring.build_sink(settings, broker, wiring.open_lake(settings)).run(until_drained=True)
        broker.append("user_likes", [b"ann"] * 5, values[1:])
        broker.trim("user_likes", {0: 4})
    return lambda *arguments: CliRunner().invoke(app, ["sink", "--compact-every", "0", *arguments])


def test_a_drain_with_a_stopped_topic_fails_until_the_gap_is_accepted(run):
    failed = run("--until-drained")
    assert isinstance(failed.exception, OffsetGap)
    assert (failed.exception.exit_code, failed.exception.gap) == (3, "user_likes[0]:1-3")
    accepted = run("--accept-gap", failed.exception.gap, "--json")
    assert json.loads(accepted.stdout) == {"gap": "user_likes[0]:1-3", "lost": 3, "remaining": None}
    drained = run("--until-drained", "--json")
    assert (drained.exit_code, json.loads(drained.stdout)["events"]) == (0, 2)


def test_what_is_accepted_is_printed_with_what_is_still_missing(run):
    text = run("--accept-gap", "user_likes[0]:1-2").stdout
    assert "2 records" in text
    assert "user_likes[0]:3-3" in text


def test_a_gap_is_accepted_before_the_sink_runs_not_with_it(run):
    failed = run("--accept-gap", "user_likes[0]:1-3", "--until-drained")
    assert isinstance(failed.exception, UsageError)
