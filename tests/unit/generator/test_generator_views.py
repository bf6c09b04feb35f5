"""One truth as several sources show it: the forms, the times, the faults, and the true play of each row."""

import csv
import hashlib
import json
import re
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from soundlake.contract import EVENT_SCHEMA, HISTORY
from soundlake.contract.decode import decode_records
from soundlake.errors import UsageError
from soundlake.generator.output.fault_injection import FaultRates, inject_faults
from soundlake.generator.output.views import Period, ViewFolder, list_views
from soundlake.generator.output.views.service_records import SERVICE_FAULTS, describe_plays
from soundlake.generator.output.views.source_faults import SourceFault, add_faults

NEWEST = "spotify-export-2024"


@pytest.fixture
def show(small_events, tmp_path):
    """The folder of a view, and the true play of each of its rows."""

    def write(name, events=small_events, *, to="view", seed=3, **options):
        recorded = []
        with ViewFolder(tmp_path / to, list_views()[name], seed=seed, record_rows=recorded.append, **options) as folder:
            folder.write(events)
        return tmp_path / to, pl.concat(pl.from_arrow(part) for part in recorded)

    return write


def read_rows(folder):
    return [row for file in sorted(folder.rglob("*.json")) for row in json.loads(file.read_text())]


def read_csv(path):
    return list(csv.reader(path.read_text().splitlines()))


def count_rows(folder):
    """The rows in all files of any form; the header of a CSV and its track that plays now are none."""
    rows = len(read_rows(folder)) + sum(len(file.read_text().splitlines()) for file in folder.rglob("*.ndjson"))
    rows += sum(len(read_csv(file)) - 1 for file in folder.rglob("*.csv"))
    for path in folder.rglob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            rows += sum(archive.read(name).count(b"\n") for name in archive.namelist() if name.endswith(".jsonl"))
    return rows


def digest(folder):
    return [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in sorted(folder.rglob("*.*"))]


@pytest.mark.parametrize("name", list_views())
def test_the_same_seed_gives_the_same_files_and_the_true_play_of_every_row(show, small_events, name):
    first, rows = show(name)
    second, _ = show(name, to="again")
    other, _ = show(name, to="other", seed=4)
    assert digest(first) == digest(second)
    assert digest(first) != digest(other)
    assert count_rows(first) == rows.height > 1_000
    plays = pl.from_arrow(small_events).filter(event_type="play").select("user_id", play_id="event_id")
    assert rows.join(plays, on=("user_id", "play_id")).height == rows.height


@pytest.mark.parametrize("name", list_views())
def test_no_file_contains_the_id_of_a_play(show, small_events, name):
    folder, _ = show(name)
    text = b"".join(path.read_bytes() for path in folder.rglob("*.*") if path.suffix != ".zip")
    for path in folder.rglob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            text += b"".join(archive.read(part) for part in archive.namelist())
    assert not [play for play in small_events["event_id"].to_pylist()[::50] if play.encode() in text]


@pytest.mark.parametrize(
    ("name", "fields", "has_uri"),
    [("spotify-export-2018", 24, False), ("spotify-export-2020", 24, False), ("spotify-export-2022", 21, True), (NEWEST, 23, True)],
)
def test_a_generation_has_the_fields_of_its_year(show, name, fields, has_uri):
    row = read_rows(show(name)[0])[0]
    assert (len(row), "spotify_track_uri" in row, "username" in row) == (fields, has_uri, name != NEWEST)
    assert re.fullmatch(r"2026-0\d-\d\d \d\d:\d\d:\d\d UTC" if name.endswith("2018") else r"2026-0\d-\d\dT\d\d:\d\d:\d\dZ", row["ts"])
    assert row["offline_timestamp"] < 10**10 if name == NEWEST else row["offline_timestamp"] == 0 or row["offline_timestamp"] > 10**12


def test_the_newest_export_has_every_play_sorted_by_ts_and_the_start_as_offline_timestamp(show, small_events):
    folder, _ = show(NEWEST)
    plays = pl.from_arrow(small_events).filter(event_type="play")
    rows = {path.name: read_rows(path) for path in folder.iterdir()}
    assert {name: len(part) for name, part in rows.items()} == dict(plays["user_id"].value_counts().iter_rows())
    assert all([row["ts"] for row in part] == sorted(row["ts"] for row in part) for part in rows.values())
    assert sum(row["ms_played"] for part in rows.values() for row in part) == plays["ms_played"].sum()
    started = sorted(int(start.timestamp()) for start in plays["played_at"])
    assert sorted(row["offline_timestamp"] for part in rows.values() for row in part) == started
    assert (folder / "listener-000000" / "Streaming_History_Audio_2026_0.json").is_file()
    named = [row for part in rows.values() for row in part if row["master_metadata_track_name"]]
    assert all(row["spotify_track_uri"].startswith("spotify:track:sl_") and type(row["shuffle"]) is bool for row in named)


def test_the_short_form_ends_in_the_minute_in_which_the_player_was_left_and_ts_is_never_before(show, small_events):
    _, extended = show(NEWEST)
    _, short = show("spotify-export-short", to="short")
    described = pl.from_arrow(describe_plays(small_events.filter(pa.compute.equal(small_events["event_type"], "play")), 3))
    both = extended.join(short, on="play_id", suffix="_short").join(described.select("play_id", "closed_ms", "is_offline"), on="play_id")
    assert (both["stamp_short"] == pl.from_epoch(both["closed_ms"], "ms").dt.truncate("1m")).all()
    late = both["stamp"] - both["stamp_short"]
    assert late.min() >= timedelta(0)
    assert both.filter(late > timedelta(minutes=5))["faults"].str.contains("stored_").all()
    assert both.filter(late > timedelta(minutes=5))["is_offline"].any()


def test_an_export_is_split_into_files_and_names_their_years(show, small_events):
    plays = pl.from_arrow(small_events).filter(event_type="play")
    year = pl.duration(days=366) * pl.Series("copy", np.arange(17_000) // 10_000)
    many = plays.head(1).join(pl.DataFrame({"copy": np.arange(17_000)}), how="cross").with_columns(
        played_at=pl.col("played_at") + year, event_id=pl.col("event_id") + pl.col("copy").cast(pl.String)
    )  # fmt: skip
    folder, _ = show(NEWEST, many.drop("copy").to_arrow().cast(EVENT_SCHEMA))
    sizes = {path.name: len(json.loads(path.read_text())) for path in folder.rglob("*.json")}
    assert sizes == {"Streaming_History_Audio_2026-2027_0.json": 16_000, "Streaming_History_Audio_2027_1.json": 1_000}


def test_an_export_of_odd_events_leaves_out_plays_without_a_listener(show, small_events):
    odd = pa.concat_tables(batch.events for batch in inject_faults([small_events], FaultRates(odd=0.3), 1))
    folder, _ = show(NEWEST, odd)
    assert len(read_rows(folder)) == pl.from_arrow(odd).filter(pl.col("user_id").is_not_null(), event_type="play").height
    assert not (folder / "None").exists()


def test_an_export_does_not_overwrite_other_files(tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(UsageError, match=r"mine\.txt"):
        ViewFolder(tmp_path, list_views()[NEWEST], seed=1)


@pytest.mark.parametrize("name", ["spotify-recent", "spotify-live"])
def test_events_of_the_api_are_valid_and_have_the_recorded_ids(show, name):
    folder, rows = show(name)
    lines = (folder / "events.ndjson").read_bytes().splitlines()
    decoded = decode_records(HISTORY, pa.array(lines, pa.binary()), pa.repeat(pa.scalar(1_800_000_000_000), len(lines)))
    assert len(decoded.rejected) == 0
    assert decoded.events["event_id"].to_pylist() == rows["event_id"].to_list()
    assert len(set(rows["event_id"])) == rows.height
    assert {name.replace("-", "_")} == set(decoded.events["source"].to_pylist())


def test_what_recently_played_lists_twice_has_both_stamps_between_the_start_and_the_end(show):
    _, rows = show("spotify-recent")
    twice = rows.filter(pl.col("play_id").is_duplicated())
    assert twice.height > 0
    assert twice["faults"].str.contains("listed_twice").all()
    assert twice.group_by("play_id").len()["len"].max() == 2


def test_scrobbles_are_of_tracks_of_which_half_was_heard(show, small_events):
    plays = pl.from_arrow(small_events).filter(event_type="play").select("duration_ms", heard="ms_played", play_id="event_id")
    for name in ("listenbrainz", "lastfm"):
        _, rows = show(name, to=name)
        heard = rows.join(plays, on="play_id")
        assert (heard["heard"] >= pl.Series([min(duration / 2, 240_000) for duration in heard["duration_ms"]])).all()
        assert heard["duration_ms"].min() >= 30_000


def test_scrobbles_in_minutes_have_no_commas_and_no_header(show):
    folder, rows = show("lastfm")
    files = {path.parent.name: read_csv(path) for path in folder.rglob("*.csv")}
    minutes = rows.filter(pl.col("faults").str.contains("in_minutes"))
    assert 0 < minutes["user_id"].n_unique() < len(files)
    assert minutes["stamp"].drop_nulls().dt.second().max() == 0
    assert {len(row) for user in minutes["user_id"].unique() for row in files[user]} == {4}
    others = set(files) - set(minutes["user_id"])
    assert {tuple(files[user][0])[:2] for user in others} == {("uts", "utc_time")}


def test_a_period_has_what_was_stored_within_it(show):
    since, until = datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC)
    _, rows = show(NEWEST, period=Period(since, until))
    assert rows["stamp"].min() >= since.replace(tzinfo=None)
    assert rows["stamp"].max() < until.replace(tzinfo=None)


def test_a_fault_has_its_share_of_the_values_of_its_column(small_events):
    plays = small_events.rename_columns([{"event_id": "play_id"}.get(name, name) for name in small_events.column_names])
    faults = (SourceFault("one", 0.2, "", ""), SourceFault("of_track", 0.3, "", "", "track_id"))
    found = pl.from_arrow(add_faults(plays, "view", faults, 1))
    assert found["one"].mean() == pytest.approx(0.2, abs=0.02)
    assert found.group_by("track_id").agg(pl.col("of_track").n_unique())["of_track"].max() == 1
    assert found.unique("track_id")["of_track"].mean() == pytest.approx(0.3, abs=0.06)
    assert found["one_draw"].min() >= 0 < found["one_draw"].max() < 1


def test_the_documentation_names_every_fault_of_every_view():
    text = (Path(__file__).parents[3] / "docs" / "generator.md").read_text()
    faults = {fault.name for view in list_views().values() for fault in view.faults} | {fault.name for fault in SERVICE_FAULTS}
    assert sorted(name for name in faults if f"`{name}`" not in text) == []
