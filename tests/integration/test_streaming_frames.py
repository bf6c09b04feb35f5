"""What the streaming job makes of records, on a local session; and that Spark and dbt apply the rules alike to the same hostile events."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import redis
from pyspark.sql.functions import expr
from tests.integration.streaming_frames import NOW, make_records, make_value
from tests.unit.contract.foreign_records import FOREIGN_RECORDS

from soundlake import wiring
from soundlake.broker import Broker
from soundlake.cache.redis_store import open_redis_store
from soundlake.contract import (
    EVENT_SCHEMA,
    FIELD_NAMES,
    FIELDS,
    LIVE_TOPIC_OF_TYPE,
    RULES,
    TOPICS,
    Rejection,
    decode_record,
    encode_events,
)
from soundlake.contract.expressions import NORMAL_FORMS
from soundlake.contract.schemas import build_spark_ddl
from soundlake.contract.topics import NOW_PLAYING, PLAYS, TOPIC_BY_NAME
from soundlake.dashboard.bronze_live_source import BronzeLiveSource
from soundlake.dashboard.live_source import NewBronzeRows
from soundlake.errors import DataError
from soundlake.generator import GeneratorConfig, make_world
from soundlake.generator.output.fault_injection import FaultRates, inject_faults
from soundlake.lake import Forgotten, Scope
from soundlake.settings import Settings
from soundlake.streaming.decoding import RECORD_DDL, decode
from soundlake.streaming.deployment import StreamLocations
from soundlake.streaming.enrichment import TRACK_DDL, TrackDimension, enrich
from soundlake.streaming.live import record_live, select_countable
from soundlake.streaming.now_playing import decode_natively, enrich_now_playing
from soundlake.streaming.processed import ProcessedWriter, TableMaintenance, process
from soundlake.streaming.processed_tables import TABLES, ensure_tables
from soundlake.streaming.startup_checks import check_log_ids
from soundlake.streaming.transforms import apply_rules, leave_out_forgotten, normalize
from soundlake.warehouse.extensions import provide_extensions
from soundlake.warehouse.snapshot import open_snapshot

EVENTS = 100_000
EVERY_FAULT = FaultRates(duplicates=0.02, copies=0.01, late=0.05, disorder=0.1, odd=0.05, malformed=0.02, clock_skew=0.1)
CHOSEN_BY_ORDER = ("produced_at", "quality_flags")
"""What may differ between the copies of one event: which of them is kept is each engine's choice (a flag compares with produced_at)."""
WHITE_SPACE = [chr(code) for code in range(0x110000) if chr(code).isspace() and not 0x1C <= code <= 0x1F]
"""Unicode's White_Space: what Python takes for space but for four control characters."""
ODD_TEXTS = [
    *WHITE_SPACE, *(f"{space}Song{space}" for space in WHITE_SPACE), "".join(WHITE_SPACE), " Song  of\t two \r\n", "Song \u2028",
    "Song\x1c", "", "a", "\u200b", "\u200bSong\u200b", "\ufeffSong", "\u180eSong", "\x00Song\x00", "\u202eنور\u202c ", "😀 ", "e\u0301 ",
    "Smartphone", " TV ", "toaster", "\xa0UNKNOWN\u3000", "unknown", "SMARTPHONE", "İ", "İPHONE", "ıphone", "ß", "ẞ", "STRASSE", "Straße",
    "ΟΔΟΣ", "Ǆ", "\u212a", "ﬁ", "DE", "de", "ZZ", "ÄÖ", "D ", "DE\n", "ŉA", "😀D", "it's", "a\\b", "a'; --",
]  # fmt: skip
"""Texts that engines trim, put into lower case or measure in ways of their own."""


def test_rules_see_an_event_as_it_arrived_before_it_is_normalized(spark):
    values = [make_value(device_type=" Smartphone ", track_name="  نور  "), make_value(user_id=" ", duration_ms=0), b"{", None]
    good, rejected, *broken = normalize(apply_rules(decode(make_records(spark, values)))).orderBy("_offset").collect()
    assert (good["reason"], good["device_type"], good["track_name"], good["quality_flags"]) == (None, "mobile", "نور", "device_known")
    assert (rejected["reason"], rejected["is_decoded"]) == ("user_known", True)
    assert [(row["reason"], row["is_decoded"]) for row in broken] == [("not_json", False), ("null_value", False)]


def test_duckdb_and_spark_judge_and_normalize_odd_texts_alike(spark):
    asked = ["context_uri", *(f"{form} as {name}" for name, form in NORMAL_FORMS.items()), *(rule.expression for rule in RULES)]
    text = [tuple(text if field.kind == "text" else None for field in FIELDS) for text in ODD_TEXTS]
    by_spark = [tuple(row) for row in spark.createDataFrame(text, build_spark_ddl()).selectExpr(*asked).collect()]
    events = pa.Table.from_pylist([dict(zip(FIELD_NAMES, row, strict=True)) for row in text], EVENT_SCHEMA)
    by_duckdb = duckdb.from_arrow(events).project(", ".join(asked)).fetchall()
    assert by_duckdb == by_spark


def test_an_event_learns_of_its_track_its_completion_its_hour_and_its_sitting(spark):
    values = [
        make_value(country="JP", session_id="s"),
        make_value(country="US", duration_ms=None),
        make_value(track_id="new", country="XX"),
    ]
    tracks = spark.createDataFrame([("t1", "song", 400_000, datetime(2020, 1, 1))], TRACK_DDL)  # noqa: DTZ001  # a session in UTC
    japan, america, nowhere = enrich(apply_rules(decode(make_records(spark, values))), tracks).orderBy("_offset").collect()
    assert (japan["local_hour"], japan["is_local_hour_certain"], japan["completion"], japan["session_key"]) == (0, True, 0.5, "s")
    assert (america["local_hour"], america["is_local_hour_certain"], america["completion"]) == (10, False, 0.25)
    assert (nowhere["local_hour"], nowhere["song_key"], japan["song_key"]) == (None, None, "song")
    assert america["session_key"] == f"ana/{int(datetime(2026, 11, 22, 15, 30, tzinfo=UTC).timestamp()) // 1800}"
    assert japan["ended_at"].minute == 31
    assert japan["played_date"] == date(2026, 11, 22)


def test_a_recreated_topic_is_an_error_and_a_new_topic_is_not(spark, tmp_path):
    noted = f"file://{tmp_path}/processed-logs"
    check_log_ids(spark, "processed", noted, {"user_plays": "a"})
    check_log_ids(spark, "processed", noted, {"user_plays": "a", "user_skips": "b"})
    check_log_ids(spark, "processed", noted, {"user_plays": "a", "user_skips": "b"})
    with pytest.raises(DataError, match="user_skips: the topic was deleted and recreated") as caught:
        check_log_ids(spark, "processed", noted, {"user_plays": "a", "user_skips": "c"})
    assert "move the checkpoint of processed and the processed tables away" in str(caught.value)
    check_log_ids(spark, "processed", noted, {"user_plays": "a", "user_skips": "c"}, is_new=True)
    check_log_ids(spark, "processed", noted, {"user_plays": "a", "user_skips": "c"})


HOSTILE = {
    "good": make_value(),
    "upper case id": make_value(event_id=str(uuid.uuid4()).upper()),
    "unknown fields": make_value(more={"a": [1, {"b": None}]}),
    "a null": make_value()[:-1] + b',"album_name":null}',
    "true": make_value(is_shuffle=True),
    "a number for a truth value": make_value(is_shuffle=1),
    "an integer with a point": make_value(duration_ms=1.0),
    "an integer with an exponent": make_value().replace(b"200000", b"2e5"),
    "an integer too large": make_value(duration_ms=2**63),
    "the largest integer": make_value(duration_ms=2**63 - 1),
    "a number for a text": make_value(track_name=5),
    "a text for a number": make_value(duration_ms="5"),
    "a field twice": make_value()[:-1] + b',"user_id":"z"}',
    "another object behind": make_value() + b" " + make_value(),
    "another object after a comma": make_value() + b"," + make_value(),
    "a bracket behind": make_value() + b"]",
    "a brace behind": make_value() + b"}",
    "words behind": make_value() + b" end",
    "blanks around": b" \n" + make_value() + b"\t ",
    "a list": b"[" + make_value() + b"]",
    "cut": make_value()[:60],
    "empty": b"",
    "no UTF-8": make_value().replace(b"Song", b"\xff"),
    "NaN": make_value().replace(b"200000", b"NaN"),
    "a comma too many": make_value()[:-1] + b",}",
    "a byte order mark": b"\xef\xbb\xbf" + make_value(),
    "a raw control character": make_value().replace(b"Song", b"So\x01ng"),
    "half a surrogate pair": make_value().replace(b"Song", b"\\ud800"),
    "too deep": make_value(more=json.loads("[" * 101 + "]" * 101)),
    "the future": make_value(played_at="2026-11-24T00:00:00Z"),
    "the past": make_value(played_at="1999-12-31T23:59:59Z"),
    "no leap year": make_value(played_at="2025-02-29T00:00:00Z"),
    "a leap day": make_value(played_at="2024-02-29T00:00:00Z"),
    "another zone": make_value(played_at="2026-11-22T10:00:00.123456789+05:30"),
    "no zone": make_value(played_at="2026-11-22T10:00:00"),
    "second 60": make_value(played_at="2026-11-22T10:00:60Z"),
    "a wrong moment of production": make_value(produced_at="soon"),
    "no id": make_value(event_id=None),
    "no type": make_value(event_type=None),
    "a null type": make_value(event_type=None)[:-1] + b',"event_type":null}',
    "an empty type": make_value(event_type=""),
    "a number for a type": make_value(event_type=1),
    "no time": make_value(played_at=None),
    "another type": make_value(event_type="skip"),
}


def test_what_spark_decodes_by_itself_the_contract_decodes_too(spark):
    values = {name: value.replace(b'"play"', b'"now_playing"') for name, value in HOSTILE.items()}
    records = make_records(spark, [value + b" " * place for place, value in enumerate(values.values())], NOW_PLAYING.name)
    timed = records.withColumn("timestamp", expr("timestampadd(millisecond, offset, timestamp)"))
    passed = {round(row["logged_at"].microsecond / 1_000) for row in decode_natively(timed).select("logged_at").collect()}
    checked = {name: decode_record(NOW_PLAYING, value, int(NOW.timestamp() * 1_000)) for name, value in values.items()}
    assert {name for place, name in enumerate(values) if place in passed} == {
        name for name, found in checked.items() if not isinstance(found, Rejection)
    }


@pytest.mark.parametrize("missing", [b"", b',"event_type":null'], ids=["absent", "null"])
def test_an_event_without_a_type_has_that_of_its_topic_in_both_decoders(spark, missing):
    value = make_value(event_type=None)[:-1] + missing + b"}"
    (play,) = decode(make_records(spark, [value])).collect()
    (now_playing,) = enrich_now_playing(make_records(spark, [value], NOW_PLAYING.name)).collect()
    assert (play["event_type"], play["reason"], json.loads(now_playing["value"])["event_type"]) == ("play", None, "now_playing")


def test_now_playing_goes_out_normalized_with_where_in_the_track_the_listener_is(spark):
    value = make_value(event_type="now_playing", position_ms=50_000, device_type="Computer", track_name=" Ääni ", country="DE")
    (row,) = enrich_now_playing(make_records(spark, [value, b"{"], NOW_PLAYING.name)).collect()
    text = json.loads(row["value"])
    assert bytes(row["key"]) == b"ana"
    assert (text["track_name"], text["device_type"], text["completion"], text["local_hour"]) == ("Ääni", "desktop", 0.25, 16)
    assert (text["played_at"], text["logged_at"]) == ("2026-11-22T15:30:00.000000Z", "2026-11-22T16:00:00.000000Z")


def publish(broker: Broker, events: pa.Table, broken: list[bytes]) -> None:
    """Events to their topics as they are, and beside the plays what does not decode."""
    for event_type, topic in LIVE_TOPIC_OF_TYPE.items():
        chosen = events.filter(pc.equal(events["event_type"], event_type))
        broker.append(topic.name, [user and user.encode() for user in chosen["user_id"].to_pylist()], encode_events(chosen))
    broker.append(PLAYS.name, [None] * len(broken), broken)


@pytest.fixture(scope="module")
def hostile_log(tmp_path_factory) -> Settings:
    """A home whose embedded log holds EVENTS events with every fault of the generator, and a few of our own, moved to bronze and built."""
    settings = Settings(home=tmp_path_factory.mktemp("parity"), topics={"partitions": 2})
    world = make_world(GeneratorConfig(listeners=150, days=30, seed=7, tracks=3_000).end_before(date(2026, 11, 20)))
    broker, lake = wiring.open_broker(settings), wiring.open_lake(settings)
    sent = 0
    for part in inject_faults((world.make_events(chunk) for chunk in world.list_chunks()), EVERY_FAULT, 7):
        events = part.events.slice(0, EVENTS - sent)
        sent += len(events)
        publish(broker, events, part.malformed)
        if sent >= EVENTS:
            break
    assert sent == EVENTS
    broker.append(PLAYS.name, [None] * len(HOSTILE), list(HOSTILE.values()))
    broker.append(PLAYS.name, [None] * len(FOREIGN_RECORDS), [value for value, *_ in FOREIGN_RECORDS.values()])
    untidy = [make_value(track_name=text, artist_name=f"{text}Band{text}", device_type=text, country=text[:2]) for text in ODD_TEXTS]
    acts = [make_value(event_type="playlist", action="add", playlist_name=text, album_name=text, user_id=text) for text in ODD_TEXTS]
    broker.append(PLAYS.name, [None] * len(untidy), untidy)
    broker.append(LIVE_TOPIC_OF_TYPE["playlist"].name, [None] * len(acts), acts)
    wiring.build_sink(settings, broker, lake).run(until_drained=True)
    with wiring.open_warehouse(settings, lake) as warehouse:
        warehouse.transform()
    write_records(settings)
    return settings


def write_records(settings: Settings) -> None:
    """The log as files that Spark streams from."""
    broker = wiring.open_broker(settings)
    folder = settings.home / "records"
    folder.mkdir()
    for topic in TOPICS:
        for partition, held in broker.offsets(topic.name).items():
            offset = held.begin
            while offset < held.end:
                records = broker.fetch(topic.name, partition, offset, max_records=50_000, max_bytes=2**26)
                table = pa.table(
                    {
                        "topic": pa.repeat(topic.name, len(records)), "partition": pa.array([partition] * len(records), pa.int32()),
                        "offset": records.offsets, "timestamp": records.timestamps_ms.cast(pa.timestamp("ms", "UTC")),
                        "key": records.keys, "value": records.values,
                    }
                )  # fmt: skip
                pq.write_table(table, folder / f"{topic.name}-{partition}-{offset}.parquet")
                offset = records.offsets[-1].as_py() + 1
    broker.close()


@pytest.fixture(scope="module")
def both(spark, hostile_log) -> Iterable[duckdb.DuckDBPyConnection]:
    """What Spark and dbt made of the same log: `processed_<name>` and silver side by side, and what the sink rejected."""
    home: Path = hostile_log.home
    locations = StreamLocations({}, f"file://{home}/lake/processed", f"file://{home}/lake/silver", f"file://{home}/checkpoints")
    ensure_tables(locations)
    rows = process(spark.readStream.schema(RECORD_DDL).parquet(f"file://{home}/records").coalesce(2), repeat_minutes=10)
    writer = ProcessedWriter(
        locations, TrackDimension(spark, f"{locations.silver}/silver_tracks"), lambda: "test", TableMaintenance(spark, locations)
    )
    stream = rows.writeStream.foreachBatch(writer.write).option("checkpointLocation", locations.checkpoint("processed"))
    query = stream.trigger(availableNow=True).start()
    query.awaitTermination()
    snapshot = open_snapshot(home / "warehouse")
    config = {"extension_directory": str(provide_extensions(home / "extensions")), "autoinstall_known_extensions": "false"}
    with duckdb.connect(config=config) as connection:
        connection.execute("load delta; set TimeZone = 'UTC'")
        connection.execute(f"attach '{snapshot.path}' as built (read_only)")
        for name in TABLES:
            connection.execute(f"create view processed_{name} as from delta_scan('{home}/lake/processed/{name}')")
        connection.execute(f"create view refused as from delta_scan('{home}/lake/bronze/rejected')")
        yield connection


@pytest.mark.parametrize("table", ["plays", "skips", "likes", "playlists"])
def test_spark_and_dbt_hold_the_same_events_valid_and_give_them_the_same_values(both, table):
    silver = f"built.silver.silver_{table}"
    shared = [name for name, *_ in both.execute(f"describe {silver}").fetchall() if name in TABLES[table].columns]
    compared = [name for name in shared if name not in CHOSEN_BY_ORDER and name not in ("source_ref", "song_key", "processed_at")]
    names = ", ".join(compared)
    assert {"user_id", "played_at", "device_type", "track_name"} <= set(compared)
    assert (
        both.execute(f"select count(*), count(distinct event_id) from processed_{table}").fetchone()
        == both.execute(f"select count(*), count(*) from {silver}").fetchone()
    )
    only_spark = both.execute(f"select {names} from processed_{table} except select {names} from {silver}").fetchall()
    only_dbt = both.execute(f"select {names} from {silver} except select {names} from processed_{table}").fetchall()
    assert (only_spark[:3], only_dbt[:3]) == ([], [])


def test_spark_and_dbt_flag_alike_what_came_once(both):
    differing = """
        select spark.event_id, spark.quality_flags, dbt.quality_flags
        from processed_plays as spark inner join built.silver.silver_plays as dbt using (event_id)
        where spark.quality_flags <> dbt.quality_flags and spark.produced_at is not distinct from dbt.produced_at
    """
    assert both.execute(differing).fetchall() == []


def test_spark_and_dbt_reject_the_same_events_for_the_same_reasons(both):
    spark_says = "select event_id, reason from processed_quarantine where is_decoded"
    dbt_says = "select event_id, rule from built.silver.silver_rejected"
    assert both.execute(f"select count(*) from ({dbt_says})").fetchone()[0] > 100
    assert both.execute(f"({spark_says} except {dbt_says}) union all ({dbt_says} except {spark_says})").fetchall() == []


def test_spark_and_the_sink_refuse_the_same_records_for_the_same_reasons(both):
    columns = "_topic, _partition, _offset, reason, detail, event_id, value"
    spark_says = f"select {columns} from processed_quarantine where not is_decoded"
    sink_says = f"select {columns} from refused"
    assert both.execute(f"select count(distinct reason) from ({sink_says})").fetchone()[0] >= 8
    assert both.execute(f"({spark_says} except all {sink_says}) union all ({sink_says} except all {spark_says})").fetchall() == []


def test_spark_names_the_formats_of_other_producers(both):
    details = {detail for (detail,) in both.execute("select distinct detail from processed_quarantine where not is_decoded").fetchall()}
    for name, (_, _, (named, *_)) in FOREIGN_RECORDS.items():
        assert any(named in detail for detail in details), name


def test_every_fault_of_the_generator_was_in_it(both, hostile_log):
    text = both.execute("select count(*), count(*) filter (where reason = 'bad_event_id') from refused").fetchone()
    assert min(text) > 0
    assert TOPIC_BY_NAME[PLAYS.name].table == "plays"
    assert timedelta(days=1) < both.execute("select max(produced_at - played_at) from processed_plays").fetchone()[0]


@pytest.mark.parametrize(("table", "name"), [("plays", "track_name"), ("plays", "device_type"), ("playlists", "playlist_name")])
def test_there_was_something_to_normalize(both, hostile_log, table, name):
    text = f"delta_scan('{hostile_log.home}/lake/bronze/{table}')"
    changed = f"""
        select count(distinct text.event_id) from {text} as text inner join built.silver.silver_{table} as held using (event_id)
        where text.{name} is distinct from held.{name}
    """
    assert both.execute(changed).fetchone()[0] > 10


def move_to_now(events: pa.Table) -> pa.Table:
    """Events of an evening long ago as if the last of them had been sent now."""
    moment = pa.timestamp("us", "UTC")
    late = pa.scalar(datetime.now(UTC), moment).cast(pa.int64()).as_py() - pc.max(events["produced_at"].cast(pa.int64())).as_py()
    for name in ("played_at", "produced_at"):
        moved = pc.add(events[name].cast(pa.int64()), late).cast(moment)
        events = events.set_column(events.schema.get_field_index(name), events.schema.field(name), moved)
    return events


def test_redis_and_bronze_give_the_same_numbers_of_the_current_minute(spark, redis_server, tmp_path):
    settings = Settings(home=tmp_path, topics={"partitions": 2})
    broker, lake = wiring.open_broker(settings), wiring.open_lake(settings)
    world = make_world(GeneratorConfig(listeners=3_000, days=1, seed=5, tracks=300).end_before(date(2026, 11, 20)))
    faults = FaultRates(duplicates=0.1, copies=0.05, disorder=0.1, odd=0.1, malformed=0.05, clock_skew=0.1)
    part = next(inject_faults((world.make_events(chunk) for chunk in world.list_chunks()), faults, 5))
    publish(broker, move_to_now(part.events.slice(len(part.events) - 4_000)), part.malformed[:50])
    wiring.build_sink(settings, broker, lake).run(until_drained=True)
    write_records(settings)
    redis.Redis.from_url(redis_server.server.url).flushdb()  # another test's events of the last minutes
    store = partial(open_redis_store, redis_server.server.url)
    countable = select_countable(spark.read.schema(RECORD_DDL).parquet(f"file://{tmp_path}/records"))
    for _ in range(2):  # a batch that is done again changes nothing
        record_live(countable, store).collect()
    now = datetime.now(UTC)
    text, reckoned = store().read(now), BronzeLiveSource(NewBronzeRows(lake)).read(now)
    assert text == reckoned
    assert sum(minute.plays for minute in text.minutes) > 100
    assert all(minute.listeners <= minute.started + minute.skips + minute.likes + minute.playlist_changes for minute in text.minutes)
    assert len(text.top_tracks) == 10


def test_rows_of_forgotten_listeners_are_left_out(spark):
    of_users = [("alice", None), ("bob", "spotify_live"), ("bob", "lastfm"), ("bob", None), ("carl", "spotify_live")]
    rows = [(user_id, source, None, number) for number, (user_id, source) in enumerate(of_users)]
    rows += [(None, None, b"alice", 5), (None, None, b"bob", 6), (None, None, None, 7)]
    hash_of = Forgotten("salt").hash
    forgotten = Forgotten("salt", frozenset([(Scope.EVERYTHING, hash_of("alice")), (Scope.SPOTIFY_API, hash_of("bob"))]))
    frame = spark.createDataFrame(rows, "user_id string, source string, _key binary, number int")
    assert {row["number"] for row in leave_out_forgotten(frame, forgotten).collect()} == {2, 3, 4, 6, 7}
    assert leave_out_forgotten(frame, Forgotten()).count() == len(rows)
