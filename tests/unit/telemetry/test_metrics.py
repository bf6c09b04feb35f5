"""Metrics, exported by the real sink, publisher and upkeep."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
import urllib.request
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from soundlake.broker.memory import MemoryBroker
from soundlake.broker.publisher import Publisher
from soundlake.contract import FRAMED_REJECTION_REASONS, REJECTION_REASONS, TOPICS
from soundlake.contract.refused_rows import wrap_refused_row
from soundlake.errors import OffsetGap, Unavailable
from soundlake.lake import Compaction, Lake
from soundlake.operations.stack.monitoring import TARGETS_FILE, assign_metrics_ports, list_metrics_ports, sample_services, write_targets
from soundlake.operations.upkeep import Upkeep, UpkeepReport
from soundlake.settings import Address, Settings
from soundlake.sink import Sink, SinkLimits
from soundlake.sink.accepted_gaps import Gap, accept_gap
from soundlake.streaming.progress import ProgressReporter
from soundlake.supervisor import Service
from soundlake.supervisor.run_file import ProcessId, RunRecord, ServiceRecord, State, write_run
from soundlake.telemetry import Telemetry, open_telemetry, serve_telemetry
from soundlake.telemetry.bulk_histogram import BulkHistogram
from soundlake.warehouse import TransformReport

NOW = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry("test")


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def read(telemetry: Telemetry, metric: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(metric, labels)


def scrape(port: int, host: str = "127.0.0.1") -> str:
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=5) as answer:
        return answer.read().decode()


def make_log(at: datetime = NOW) -> MemoryBroker:
    broker = MemoryBroker(clock=lambda: at)
    broker.create_topics(TOPICS, partitions=2)
    return broker


def make_lake(folder) -> Lake:
    lake = Lake(Address(f"file://{folder}", "file", path=folder))
    lake.ensure_tables()
    return lake


def event() -> bytes:
    return json.dumps({"event_id": str(uuid.uuid4()), "event_type": "play", "user_id": "ann", "played_at": "2026-11-22T16:00:00Z"}).encode()


def test_the_sink_counts_consumed_committed_and_rejected_records_and_their_delays(telemetry, tmp_path):
    broker = make_log()
    refused = wrap_refused_row("odd_row_of_somebody", "spotify_export", "ann", {"a": 1})
    broker.append("user_plays", [b"ann"] * 5, [event(), event(), b"nonsense", None, refused])
    later = NOW + timedelta(seconds=4)
    sink = Sink(broker, make_lake(tmp_path), SinkLimits(), clock=lambda: later, observer=telemetry.watch_sink())
    sink.run(until_drained=True)
    assert read(telemetry, "soundlake_sink_consumed_records_total", topic="user_plays") == 5
    assert read(telemetry, "soundlake_sink_committed_events_total", topic="user_plays") == 2
    reasons = ("not_json", "null_value", "refused_by_import")
    assert [read(telemetry, "soundlake_sink_rejected_records_total", topic="user_plays", reason=reason) for reason in reasons] == [1, 1, 1]
    assert read(telemetry, "soundlake_sink_commit_seconds_count", topic="user_plays") == 1
    assert read(telemetry, "soundlake_sink_batch_records_sum", topic="user_plays") == 5
    assert read(telemetry, "soundlake_sink_delay_seconds_count", topic="user_plays") == 5
    assert read(telemetry, "soundlake_sink_delay_seconds_sum", topic="user_plays") == pytest.approx(20)
    assert read(telemetry, "soundlake_sink_delay_seconds_bucket", topic="user_plays", le="3.0") == 0
    assert read(telemetry, "soundlake_sink_delay_seconds_bucket", topic="user_plays", le="5.0") == 5


def test_lag_is_the_number_of_records_that_are_not_in_the_lake(telemetry, tmp_path):
    broker, lake = make_log(), make_lake(tmp_path)
    broker.append("user_plays", [b"ann"] * 3, [event() for _ in range(3)])

    watched = telemetry.watch_sink()

    def run_sink_and_read_lag() -> float:
        Sink(broker, lake, SinkLimits(), observer=watched).run(until_drained=True)  # it reads the lag first, and then stores
        return sum(read(telemetry, "soundlake_sink_lag_records", topic="user_plays", partition=str(number)) for number in (0, 1))

    assert [run_sink_and_read_lag(), run_sink_and_read_lag()] == [3, 0]
    broker.append("user_plays", [b"ann"] * 2, [event() for _ in range(2)])
    assert [run_sink_and_read_lag(), run_sink_and_read_lag()] == [2, 0]


def test_a_partition_that_was_revoked_has_no_lag(telemetry):
    watched = telemetry.watch_sink()
    watched.record_lag("user_plays", {0: 5, 1: 7})
    watched.record_lag("user_plays", {1: 8})
    assert [read(telemetry, "soundlake_sink_lag_records", topic="user_plays", partition=number) for number in ("0", "1")] == [None, 8]


def test_a_topic_is_stopped_until_the_log_allows_to_continue(telemetry, tmp_path):
    broker, lake, watched = make_log(), make_lake(tmp_path), telemetry.watch_sink()
    drain = partial(Sink(broker, lake, SinkLimits(), observer=watched).run, until_drained=True)

    def read_stopped() -> list[float | None]:
        return [read(telemetry, "soundlake_sink_topic_stopped", topic=topic) for topic in ("user_plays", "user_likes")]

    broker.append("user_plays", [b"ann"], [event()])
    drain()
    assert read_stopped() == [0, 0]
    (number,) = [number for number, held in broker.offsets("user_plays").items() if held.end]
    broker.append("user_plays", [b"ann"] * 2, [event(), event()])
    broker.trim("user_plays", {number: 2})
    with pytest.raises(OffsetGap) as caught:
        drain()
    assert read_stopped() == [1, 0]
    accept_gap(broker, lake, Gap.parse(caught.value.gap))
    drain()
    assert read_stopped() == [0, 0]


def test_errors_that_the_sink_retries_are_counted_by_class(telemetry, tmp_path):
    class Away(MemoryBroker):
        def offsets(self, topic):
            raise Unavailable("no answer", next_step="wait")

    broker = Away(clock=lambda: NOW)
    broker.create_topics(TOPICS, partitions=1)
    begun = time.time()
    sink = Sink(broker, make_lake(tmp_path), SinkLimits(), observer=telemetry.watch_sink())
    assert read(telemetry, "soundlake_errors_total", kind="Unavailable") == 0
    with pytest.raises(Unavailable):
        sink.run(until_drained=True)
    assert read(telemetry, "soundlake_errors_total", kind="Unavailable") == 1
    checked = [read(telemetry, "soundlake_sink_lag_checked_timestamp_seconds", topic=topic.name) for topic in TOPICS]
    assert all(begun <= moment <= time.time() for moment in checked)  # no answer from the log yet: the time of the start


def test_series_of_failures_exist_at_zero_before_the_first_failure(telemetry):
    for watch in (telemetry.watch_sink, telemetry.watch_builds, telemetry.watch_upkeep):
        watch()
    telemetry.watch_pages(["overview"])
    telemetry.watch_queries({"live": ["user_plays"]})
    rejected = [
        read(telemetry, "soundlake_sink_rejected_records_total", topic=topic.name, reason=reason)
        for topic in TOPICS
        for reason in (*REJECTION_REASONS, *FRAMED_REJECTION_REASONS, "refused_by_import")
    ]
    assert set(rejected) == {0}
    assert read(telemetry, "soundlake_transform_runs_total", result="failed") == 0
    assert read(telemetry, "soundlake_dashboard_pages_total", page="overview", result="failed") == 0
    assert read(telemetry, "soundlake_upkeep_rounds_total", result="failed") == 0
    assert read(telemetry, "soundlake_stream_batches_total", query="live") == 0
    assert read(telemetry, "soundlake_log_lines_total", level="error") == 0


def test_every_published_event_has_a_fate(telemetry):
    events = pa.table(
        {"event_id": [str(uuid.uuid4()) for _ in range(3)], "event_type": ["play", "skip", "unheard_of"], "user_id": ["a"] * 3}
    )
    Publisher(make_log(), observe=telemetry.watch_publisher().record_publish).publish(events)
    results = {
        result: read(telemetry, "soundlake_published_events_total", result=result) for result in ("acknowledged", "failed", "unsure")
    }
    assert results == {"acknowledged": 2, "failed": 1, "unsure": 0}
    assert read(telemetry, "soundlake_publish_seconds_count") == 1


def test_builds_are_counted_by_their_result(telemetry):
    builds = telemetry.watch_builds()
    built = TransformReport("id", True, (), {"plays": 1}, {"silver_plays": 7}, {"silver_plays": 0.5}, 3.0)
    builds.record_build(built)
    builds.record_build(TransformReport("id", False, (), {}, {"silver_plays": 7}, {}, 0.1))
    builds.record_failed_build(2.0)
    results = [read(telemetry, "soundlake_transform_runs_total", result=result) for result in ("built", "nothing_new", "failed")]
    assert results == [1, 1, 1]
    assert read(telemetry, "soundlake_transform_rows", model="silver_plays") == 7
    assert read(telemetry, "soundlake_transform_model_seconds", model="silver_plays") == 0.5


def make_progress(batch: int, rows: int, read_to: int, seen: int) -> str:
    source = {"endOffset": {"user_plays": {"0": read_to, "1": 5}}, "latestOffset": {"user_plays": {"0": seen, "1": 5}}}
    return json.dumps({
        "batchId": batch, "timestamp": "2026-11-22T16:30:00.000Z", "numInputRows": rows, "durationMs": {"triggerExecution": 1500},
        "stateOperators": [{"numRowsTotal": 40}, {"numRowsTotal": 2}], "sources": [source],
    })  # fmt: skip


def test_each_micro_batch_of_a_query_is_counted_once(telemetry):
    begun = time.time()
    reporter = ProgressReporter(telemetry.watch_queries({"processed": ["user_plays", "user_history"]}).record_progress)
    assert begun <= read(telemetry, "soundlake_stream_progress_timestamp_seconds", query="processed") <= time.time()
    assert read(telemetry, "soundlake_stream_reads_topic", query="processed", topic="user_history") == 1
    assert [reporter.report("processed", make_progress(0, 10, 10, 30)), reporter.report("processed", make_progress(1, 15, 25, 30))] == [
        10,
        15,
    ]
    assert read(telemetry, "soundlake_stream_input_rows_total", query="processed") == 25
    assert read(telemetry, "soundlake_stream_batches_total", query="processed") == 2
    assert read(telemetry, "soundlake_stream_batch_seconds_sum", query="processed") == 3
    assert read(telemetry, "soundlake_stream_lag_records", query="processed", topic="user_plays") == 5
    assert read(telemetry, "soundlake_stream_state_rows", query="processed") == 42
    assert read(telemetry, "soundlake_stream_progress_timestamp_seconds", query="processed") == NOW.timestamp()


@pytest.mark.parametrize("offsets", [{}, {"endOffset": None, "latestOffset": None}, {"endOffset": "17", "latestOffset": "18"}], ids=str)
def test_a_source_without_offsets_of_topics_has_no_lag(offsets):
    received = []
    progress = json.loads(make_progress(0, 1, 1, 1)) | {"sources": [offsets]}
    ProgressReporter(received.append).report("now_playing", json.dumps(progress))
    assert received[0].behind == {}


def test_rounds_of_upkeep_are_counted_with_their_result(telemetry, tmp_path):
    stop, rounds = threading.Event(), []

    class Twice(Upkeep):
        def run_once(self, **_: object) -> UpkeepReport:
            rounds.append(1)
            if len(rounds) == 1:
                raise Unavailable("no answer", next_step="wait")
            stop.set()
            return UpkeepReport([Compaction("plays", 5, 1), Compaction("skips", 3, 2, 7)], {"plays": 11}, {"user_plays": 13})

    Twice(make_lake(tmp_path), lambda: NOW, metrics=telemetry.watch_upkeep()).run_every(0.01, stop)
    assert [read(telemetry, "soundlake_upkeep_rounds_total", result=result) for result in ("done", "failed")] == [1, 1]
    assert [read(telemetry, "soundlake_upkeep_files_total", action=action) for action in ("joined", "written", "deleted")] == [8, 3, 7]
    assert read(telemetry, "soundlake_upkeep_dropped_rows_total") == 11
    assert read(telemetry, "soundlake_upkeep_trimmed_records_total") == 13
    assert read(telemetry, "soundlake_upkeep_seconds_count") == 2
    assert read(telemetry, "soundlake_upkeep_interval_seconds") == 0.01


def test_a_page_that_fails_is_counted_and_its_error_is_raised(telemetry):
    pages = telemetry.watch_pages(["overview"])
    with pages.time_page("overview"):
        pass
    with pytest.raises(LookupError), pages.time_page("overview"):
        raise LookupError
    assert [read(telemetry, "soundlake_dashboard_pages_total", page="overview", result=result) for result in ("drawn", "failed")] == [1, 1]
    assert read(telemetry, "soundlake_dashboard_page_seconds_count", page="overview") == 1


@given(st.lists(st.lists(st.one_of(st.sampled_from([0.0, 0.1, 1.0, 5.0]), st.floats(0, 100)))))
def test_columns_are_counted_like_single_values(columns):
    bulk_registry, plain_registry = CollectorRegistry(), CollectorRegistry()
    bulk = BulkHistogram("seconds", "of something", "topic", buckets=(0.1, 1, 5), registry=bulk_registry)
    plain = Histogram("seconds", "of something", ["topic"], buckets=(0.1, 1, 5), registry=plain_registry)
    for values in columns:
        bulk.observe("a", np.array(values, float))
        series = plain.labels("a")
        for value in values:
            series.observe(value)

    def counts(registry: CollectorRegistry) -> list[str]:
        lines = generate_latest(registry).decode().splitlines()
        return sorted(line for line in lines if "_sum" not in line and "_created" not in line)

    assert counts(bulk_registry) == counts(plain_registry)
    assert bulk_registry.get_sample_value("seconds_sum", {"topic": "a"}) == pytest.approx(
        plain_registry.get_sample_value("seconds_sum", {"topic": "a"})
    )


def test_a_process_serves_its_metrics_to_this_machine_and_stops(free_port):
    with serve_telemetry("test", free_port) as telemetry:
        logging.getLogger("soundlake.any").warning("something")
        scraped = scrape(free_port)
        assert 'soundlake_process_info{program="test",' in scraped
        assert 'soundlake_log_lines_total{level="warning"} 1.0' in scraped
        assert "process_cpu_seconds_total" in scraped
        assert read(telemetry, "soundlake_log_lines_total", level="warning") == 1
    with pytest.raises(OSError, match="refused"):
        scrape(free_port)


def test_metrics_are_served_on_the_address_of_the_settings(tmp_path, free_port):
    settings = Settings(_env_file=None, home=tmp_path, metrics={"port": free_port, "host": "127.0.0.2"})
    with open_telemetry(settings, "test"):
        assert 'program="test"' in scrape(free_port, "127.0.0.2")
        with pytest.raises(OSError, match="refused"):
            scrape(free_port)


def test_a_port_in_use_is_logged_and_does_not_stop_the_work(free_port, caplog):
    with serve_telemetry("first", free_port), serve_telemetry("second", free_port):
        assert 'program="first"' in scrape(free_port)
    assert [record.levelname for record in caplog.records if str(free_port) in record.getMessage()] == ["WARNING"]


def test_without_a_port_nothing_is_served(tmp_path):
    with open_telemetry(Settings(_env_file=None, home=tmp_path), "test") as telemetry:
        assert telemetry is None


def test_each_service_has_its_own_port_and_the_same_offset_in_every_stack():
    services = [Service(name, ("true",), environment={"KEPT": "1"}) for name in ("sink", "dashboard", "unknown")]
    ports = list_metrics_ports(9470, services)
    assert ports == {"supervisor": 9470, "sink": 9471, "dashboard": 9475}
    assigned = assign_metrics_ports(services, ports)
    assert [service.environment for service in assigned] == [
        {"KEPT": "1", "SOUNDLAKE_METRICS_PORT": "9471"},
        {"KEPT": "1", "SOUNDLAKE_METRICS_PORT": "9475"},
        {"KEPT": "1", "SOUNDLAKE_METRICS_PORT": "0"},
    ]


@pytest.mark.parametrize(
    ("host", "place"),
    [("127.0.0.1", "127.0.0.1"), ("10.1.2.3", "10.1.2.3"), ("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("fd00::1", "[fd00::1]")],
)
def test_the_targets_of_prometheus_have_the_address_of_the_metrics(tmp_path, host, place):
    write_targets(tmp_path, host, {"sink": 9471})
    assert json.loads((tmp_path / TARGETS_FILE).read_text()) == [{"targets": [f"{place}:9471"], "labels": {"service": "sink"}}]


def test_the_supervisor_reports_the_state_of_its_services(telemetry, tmp_path):
    own = ProcessId.of(os.getpid())
    services = (
        ServiceRecord(name="sink", state=State.RUNNING, process=own, since=NOW, restarts=2, log=tmp_path / "sink.log"),
        ServiceRecord(name="stream", state=State.WAITING, process=None, since=NOW, restarts=9, log=tmp_path / "stream.log"),
    )
    write_run(tmp_path, RunRecord(supervisor=own, services=services))
    telemetry.watch_services(lambda: sample_services(tmp_path))
    assert [read(telemetry, "soundlake_service_up", name=name) for name in ("sink", "stream")] == [1, 0]
    assert [read(telemetry, "soundlake_service_restarts", name=name) for name in ("sink", "stream")] == [2, 9]
    assert read(telemetry, "soundlake_service_start_timestamp_seconds", name="sink") == NOW.timestamp()
    assert read(telemetry, "soundlake_service_memory_bytes", name="sink") > 2**20
    assert read(telemetry, "soundlake_service_cpu_seconds_total", name="sink") > 0
    assert read(telemetry, "soundlake_service_memory_bytes", name="stream") is None
