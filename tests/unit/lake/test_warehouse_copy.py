"""Copies of the warehouse's tables in the lake: one version a build, whole or some partitions."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from soundlake.errors import Unavailable
from soundlake.lake.warehouse_copies import read_copied_build, read_copied_content, write_copy


def read_rows(uri: str) -> list[tuple[str, int]]:
    return sorted((row["week"], row["plays"]) for row in DeltaTable(uri).to_pyarrow_table().to_pylist())


def make_rows(**plays: int) -> pa.RecordBatchReader:
    return pa.table({"week": list(plays), "plays": list(plays.values())}).to_reader()


def test_a_copy_knows_its_build_and_its_content(tmp_path):
    uri = str(tmp_path / "silver_plays")
    assert (read_copied_build(uri, {}), read_copied_content(uri, {})) == (None, None)
    write_copy(uri, make_rows(w1=1), 7, {})
    assert (read_copied_build(uri, {}), read_copied_content(uri, {})) == (7, None)
    write_copy(uri, make_rows(w1=2, w2=3), 8, {}, content=99)
    assert (read_copied_build(uri, {}), read_copied_content(uri, {})) == (8, 99)
    assert read_rows(uri) == [("w1", 2), ("w2", 3)]
    assert DeltaTable(uri).version() == 1


def test_a_whole_copy_takes_the_columns_of_its_rows(tmp_path):
    uri = str(tmp_path / "gold")
    write_copy(uri, make_rows(w1=1), 1, {}, partition="week")
    write_copy(uri, pa.table({"week": ["w2"], "plays": [4], "hours": [0.5]}).to_reader(), 2, {}, partition="week")
    assert DeltaTable(uri).to_pyarrow_table().select(["week", "plays", "hours"]).to_pylist() == [{"week": "w2", "plays": 4, "hours": 0.5}]


def test_only_the_named_partitions_are_replaced(tmp_path):
    uri = str(tmp_path / "silver_plays")
    write_copy(uri, make_rows(w1=1, w2=2, w3=3), 1, {}, partition="week")
    assert DeltaTable(uri).metadata().partition_columns == ["week"]
    write_copy(uri, make_rows(w2=20, w4=40), 2, {}, partition="week", only=["w2", "w3", "w4"])
    assert read_rows(uri) == [("w1", 1), ("w2", 20), ("w4", 40)]
    write_copy(uri, make_rows(), 3, {}, partition="week", only=[])
    assert (read_rows(uri), read_copied_build(uri, {}, partition="week")) == ([("w1", 1), ("w2", 20), ("w4", 40)], 3)


def test_a_copy_with_another_partition_column_counts_as_none_and_can_be_replaced(tmp_path):
    uri = str(tmp_path / "gold")
    write_copy(uri, make_rows(w1=1), 1, {})
    assert read_copied_build(uri, {}, partition="week") is None
    write_copy(uri, make_rows(w1=2, w2=3), 2, {}, partition="week")
    assert (read_rows(uri), read_copied_build(uri, {}, partition="week"), read_copied_build(uri, {})) == ([("w1", 2), ("w2", 3)], 2, None)


def test_every_sixtieth_version_deletes_files_that_were_replaced_a_day_ago(tmp_path):
    uri = str(tmp_path / "gold")
    for build in range(59):
        write_copy(uri, make_rows(w1=build), build, {})
    for version, hours_ago in ((1, 25), (2, 23)):  # the commits that removed the first file and the second one
        commit = tmp_path / "gold" / "_delta_log" / f"{version:020}.json"
        removed_at = round((time.time() - hours_ago * 3_600) * 1_000)
        commit.write_text(re.sub(r'"deletionTimestamp":\d+', f'"deletionTimestamp":{removed_at}', commit.read_text()))
    assert len(list(Path(uri).glob("*.parquet"))) == 59
    write_copy(uri, make_rows(w1=59), 59, {})
    assert len(list(Path(uri).glob("*.parquet"))) == 60 - 1
    assert read_rows(uri) == [("w1", 59)]


def test_an_unusable_place_is_named(tmp_path):
    (tmp_path / "gold").write_text("a file")
    with pytest.raises(Unavailable, match="gold"):
        write_copy(str(tmp_path / "gold"), make_rows(w1=1), 1, {})
