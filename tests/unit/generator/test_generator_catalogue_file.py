from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from soundlake.errors import DataError, UsageError
from soundlake.generator import GeneratorConfig, generate_events
from soundlake.generator.model.catalogue_file import read_track_file

GOOD = {
    "track_id": ["a1", "a2", "b1", "b1"],
    "track_name": ["One", "Two", "שיר", "שיר"],
    "track_artist": ["Ann", "Ann", "Bo", "Bo"],
    "duration_ms": [200_000, 180_000, 240_500, 240_500],
    "track_popularity": [10, 90, 50, 50],
    "playlist_genre": ["pop", "pop", "rock", None],
    "track_album_release_date": ["2019", "2020-05", "2021-05-06", None],
}


@pytest.fixture
def write(tmp_path):
    def write(name: str = "tracks.parquet", **changes):
        table = pa.table({column: values for column, values in (GOOD | changes).items() if values is not None})
        path = tmp_path / name
        pq.write_table(table, path) if name.endswith("parquet") else pyarrow.csv.write_csv(table, path)
        return path

    return write


@pytest.mark.parametrize("name", ["tracks.parquet", "tracks.csv"])
def test_columns_are_found_under_their_usual_names_and_tracks_are_unique(write, name):
    tracks = read_track_file(write(name))
    assert tracks["track_id"].to_pylist() == ["a1", "a2", "b1"]
    assert tracks["artist_name"].to_pylist() == ["Ann", "Ann", "Bo"]
    assert tracks["release_day"].to_pylist() == [
        (day - date(1970, 1, 1)).days for day in (date(2019, 1, 1), date(2020, 5, 1), date(2021, 5, 6))
    ]
    assert not any(column.null_count for column in tracks.columns)


def test_events_have_the_ids_of_the_file(write):
    config = GeneratorConfig(listeners=20, days=4, catalog=write())
    ids = {identity for table in generate_events(config) for identity in table["track_id"].drop_null().to_pylist()}
    assert ids == {"a1", "a2", "b1"}


def test_a_missing_column_is_an_error_with_the_accepted_names(write):
    with pytest.raises(DataError, match=r"no column for duration_ms .*track_duration_ms"):
        read_track_file(write(duration_ms=None))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("duration_ms", [200_000, -5, 1, 240_500], r"column duration_ms, row 3: -5 is not from 1000"),
        ("duration_ms", ["200000", "long", "1", "2"], r"column duration_ms, row 3: 'long' is not a number"),
        ("track_artist", ["Ann", " ", "Bo", "Bo"], r"column track_artist, row 3: ' ' is empty"),
        ("track_id", ["a", "b", None, "c"], r"column track_id, row 4: None is empty"),
        ("track_popularity", ["1", "", "much", None], r"column track_popularity, row 4: 'much' is no number from 0 on"),
        ("track_popularity", [1, 2, 3, -4], r"column track_popularity, row 5: -4 is no number from 0 on"),
        ("track_album_release_date", ["2020", "2020-99-99", None, ""], r"column track_album_release_date, row 3: '2020-99-99' is no date"),
    ],
    ids=["negative", "text", "blank artist", "no id", "popularity", "negative popularity", "date"],
)
def test_an_invalid_value_is_an_error_with_column_and_row(write, column, values, message):
    with pytest.raises(DataError, match=message):
        read_track_file(write(**{column: values}))


def test_an_empty_file_is_an_error(write):
    with pytest.raises(DataError, match="no tracks"):
        read_track_file(write(**{name: pa.array([], pa.string()) for name in GOOD}))


def test_a_file_that_is_not_parquet_is_an_error(tmp_path):
    path = tmp_path / "notes.parquet"
    path.write_text("nothing of the kind")
    with pytest.raises(UsageError, match="--catalog"):
        read_track_file(path)


def test_optional_columns_can_have_empty_values(write):
    tracks = read_track_file(write(track_popularity=["12", "", None, "4.5"], track_album_release_date=["", None, "2020", None]))
    assert tracks["popularity"].to_pylist() == pytest.approx([np.e, 1.0, 1.0])
    assert tracks["release_day"].to_pylist() == [0, 0, (date(2020, 1, 1) - date(1970, 1, 1)).days]
