"""One truth shown by every view and imported: its plays are found, and the order and the splitting of imports change nothing."""

from __future__ import annotations

import itertools
import random
import re
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from bench.merge import GOLD, PERIODS, leave_out_overlaps, write_views
from bench.merge_judge import judge
from bench.transform import copy_project
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from tests.warehouse_builder import BronzeBuilder, complete_columns

from soundlake.contract import EVENT_SCHEMA, HISTORY
from soundlake.contract.decode import decode_records
from soundlake.generator import GeneratorConfig, generate_events
from soundlake.history import READERS, RowFile, find_history
from soundlake.importing.known_ids import KnownIds
from soundlake.warehouse import Warehouse

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CONFIG = GeneratorConfig(listeners=4, days=4, tracks=800, seed=11).end_before(NOW.date())
ARRIVAL_COLUMNS = {"processed_at"}
TABLES = ("silver_plays", "silver_observations")
EVENT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    """The plays, the true play of each row of every view, and the rows as the readers read them, each id once."""
    folder = tmp_path_factory.mktemp("merge")
    events = pa.concat_tables(list(generate_events(CONFIG)))
    plays = leave_out_overlaps(events.filter(pc.equal(events["event_type"], "play")))
    rows = write_views(CONFIG, plays, folder, list(PERIODS))
    read = pa.concat_tables(table for view in reversed(PERIODS) for table in read_view(folder / view))
    return plays, rows, read.filter(pa.array(KnownIds().add(read["event_id"])))


def read_view(folder):
    """The events of the files."""
    if (folder / "events.ndjson").is_file():
        lines = pa.array((folder / "events.ndjson").read_bytes().splitlines(), pa.binary())
        times = pa.repeat(pa.scalar(int(NOW.timestamp() * 1_000)), len(lines))
        return [decode_records(HISTORY, lines, times).events.select(EVENT_SCHEMA.names)]
    with closing(find_history([folder], None, READERS)) as found:
        return [
            part.events
            for file in found.files
            for part in file.reader.read(RowFile(file.file, lambda _: None), user_id=file.user_id, now=NOW)
        ]  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("dbt"), GOLD)


def build(folder, project, batches):
    """The database after a build for each batch, in that order."""
    bronze = BronzeBuilder(folder / "lake")
    with Warehouse(folder / "warehouse", bronze, memory_limit="1GB", project=project) as warehouse:
        for batch in batches:
            bronze.append_table("history", complete_columns({name: batch[name] for name in EVENT_SCHEMA.names}))
            warehouse.transform()
    return folder / "warehouse" / "build.duckdb"


def read_tables(database):
    """The rows of both tables, without what depends on the time of arrival."""
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return {table: read_rows(connection, table) for table in TABLES}


def read_rows(connection, table):
    columns = [name for name, *_ in connection.execute(f"describe silver.{table}").fetchall() if name not in ARRIVAL_COLUMNS]
    return connection.execute(f"select {', '.join(columns)} from silver.{table} order by all").fetchall()


@pytest.fixture(scope="module")
def at_once(views, project, tmp_path_factory):
    """The database built from all rows in one batch."""
    return build(tmp_path_factory.mktemp("at once"), project, [views[2]])


def test_the_rows_of_every_view_find_their_play(views, at_once):
    plays, rows, stored = views
    figures = judge(stored, rows, plays, at_once)
    assert figures["rows_stored"] > 5 * figures["plays"]
    assert min(figures["precision"], figures["recall"]) >= 0.99  # few plays: two artists that a scrobbler corrected are half a percent
    assert abs(figures["minutes_off_percent"]) <= 0.5


class Split:
    """One order and splitting of the imports, as rows of listeners of its own, so that several share the builds of one lake."""

    def __init__(self, number, seed, cuts):
        self.number, self.seed, self.cuts = f"{number:02x}", seed, cuts

    def cut(self, rows):
        """The batches: the rows in random order. The ids keep their order, since ties are decided by it."""
        for name, keep, joint in (("event_id", -2, ""), ("user_id", None, "~")):
            values = [f"{value[:keep]}{joint}{self.number}" for value in rows[name].to_pylist()]
            rows = rows.set_column(rows.schema.get_field_index(name), name, pa.array(values))
        order = pa.array(random.Random(self.seed).sample(range(len(rows)), len(rows)), pa.int64())
        bounds = [0, *sorted(int(share * len(rows)) for share in self.cuts), len(rows)]
        return [rows.take(order[first:last]) for first, last in itertools.pairwise(bounds)]

    def select(self, tables):
        """Of the tables (lists of rows) those of this split, with numbers cut off."""
        return {
            name: sorted(repr([self.cut_off(value) for value in row]) for row in rows if self.is_mine(row)) for name, rows in tables.items()
        }

    def is_mine(self, row):
        return any(isinstance(value, str) and EVENT_ID.fullmatch(value) and value.endswith(self.number) for value in row)

    def cut_off(self, value):
        if isinstance(value, str):
            return value[:-2] if EVENT_ID.fullmatch(value) else value.removesuffix(f"~{self.number}")
        return value


SPLITS = st.lists(st.tuples(st.integers(0, 2**32), st.lists(st.floats(0, 1), min_size=2, max_size=2)), min_size=8, max_size=8)


def check_splits(views, project, drawn):
    """Build the batches of all splits in one lake, a build for each batch, and compare with one batch of everything."""
    assume(all(0 < cut < 1 for _, cuts in drawn for cut in cuts))
    splits = [Split(number, *one) for number, one in enumerate(drawn, start=1)]
    whole = Split(0, drawn[0][0], [0, 0])
    batches = map(pa.concat_tables, zip(*(split.cut(views[2]) for split in [whole, *splits]), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        tables = read_tables(build(Path(folder), project, list(batches)))
    expected = whole.select(tables)
    assert len(expected["silver_plays"]) > 100
    for split in splits:
        assert split.select(tables) == expected


@settings(max_examples=1, phases=[Phase.generate], suppress_health_check=list(HealthCheck), deadline=None)
@given(drawn=SPLITS)
def test_the_order_and_the_splitting_of_imports_change_nothing(views, project, drawn):
    check_splits(views, project, drawn)


@pytest.mark.soak
@settings(max_examples=30, phases=[Phase.generate], suppress_health_check=list(HealthCheck), deadline=None)
@given(drawn=SPLITS)
def test_the_order_and_the_splitting_of_imports_change_nothing_at_length(views, project, drawn):
    check_splits(views, project, drawn)
