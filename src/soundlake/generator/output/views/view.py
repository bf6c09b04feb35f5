"""The base of a view: how one source shows the plays, as rows of its own form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from soundlake.contract import EVENT_SCHEMA, SCHEMA_VERSION
from soundlake.contract.encode import encode_events
from soundlake.contract.ids import make_event_ids
from soundlake.generator.output.views.source_faults import SourceFault
from soundlake.local_files import replace_file

IDENTITY_SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("play_id", "user_id", "event_id", "source")),
        pa.field("stamp", pa.timestamp("us")),
        *(pa.field(name, pa.string()) for name in ("artist_name", "track_name", "track_id")),
        pa.field("ms_played", pa.int64()),
    ]
)
"""The true play of a row, and what identifies the row; `stamp` is its time (UTC), null if it has none."""


class View(ABC):
    """One source. It selects its rows from the table `plays` (service_records.describe_plays, with this view's faults) and writes them."""

    faults: ClassVar[tuple[SourceFault, ...]] = ()

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def select(self) -> str:
        """A SELECT in DuckDB's SQL: IDENTITY_SCHEMA, `place`, by which rows are sorted, and what `write` needs."""

    @abstractmethod
    def write(self, folder: Path, rows: pa.Table) -> None:
        """Write the rows, which are sorted by listener and place."""


class ListenerFilesView(View):
    """A view with files for each listener; `select` gives the text of each row as `line`."""

    def write(self, folder: Path, rows: pa.Table) -> None:
        """Write the files of each listener into a folder of that name."""
        first = 0
        for counted in rows["user_id"].value_counts().to_pylist():
            user, count = counted["values"], counted["counts"]
            (folder / user).mkdir()
            self.write_listener(folder / user, user, rows.slice(first, count))
            first += count

    @abstractmethod
    def write_listener(self, folder: Path, user_id: str, rows: pa.Table) -> None:
        """Write the rows of one listener."""


class EventsView(View):
    """A view as one file of events, `events.ndjson`; `select` gives fields of the contract, and the `key` that the id is made of."""

    def write(self, folder: Path, rows: pa.Table) -> None:
        """Write the events."""
        constants = {"event_type": "play", "content_type": "track", "schema_version": SCHEMA_VERSION}
        columns = {name: pa.repeat(value, len(rows)) for name, value in constants.items()}
        columns |= {field.name: rows[field.name] for field in EVENT_SCHEMA if field.name in rows.column_names}
        for name in ("played_at", "produced_at"):
            columns[name] = rows[name].cast(EVENT_SCHEMA.field(name).type)
        events = pa.table([columns[name].cast(EVENT_SCHEMA.field(name).type) for name in columns], names=list(columns))
        with replace_file(folder / "events.ndjson") as draft:
            draft.write_bytes(b"".join(line + b"\n" for line in encode_events(events)))


def complete_event_ids(rows: pa.Table) -> pa.Table:
    """The rows with event_id made of the source and the natural `key`, if the view selects a key."""
    if "key" not in rows.column_names or not len(rows):
        return rows
    ids = make_event_ids(rows["source"][0].as_py(), rows["key"].to_pylist())
    return rows.drop_columns("key").set_column(rows.column_names.index("event_id"), "event_id", ids)
