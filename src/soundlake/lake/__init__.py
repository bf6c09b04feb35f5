"""The lake: bronze as Delta Lake tables in a folder or a bucket; append with positions, read, compact, delete by age."""

from soundlake.lake.compaction import VACUUM_RETENTION_HOURS, Compaction
from soundlake.lake.delta_table import BATCH_APP_ID, DeltaBronzeTable
from soundlake.lake.forgotten import Forgotten, Scope
from soundlake.lake.lake import Lake
from soundlake.lake.layout import LAYOUTS, REPLAYS_TABLE, TableLayout
from soundlake.lake.memory import MemoryBronzeTable, MemoryBronzeTables
from soundlake.lake.protocol import (
    NO_POSITION,
    BronzeTable,
    BronzeTables,
    Checkpoint,
    CommitConflict,
    MissingKind,
    MissingOffsets,
    PositionMove,
    ignore_checkpoint,
    make_begin_app_id,
    make_missing_app_ids,
    make_position_app_id,
    read_next_offset,
)

__all__ = [
    "BATCH_APP_ID", "LAYOUTS", "NO_POSITION", "REPLAYS_TABLE", "VACUUM_RETENTION_HOURS", "BronzeTable", "BronzeTables", "Checkpoint",
    "CommitConflict", "Compaction", "DeltaBronzeTable", "Forgotten", "Lake", "MemoryBronzeTable", "MemoryBronzeTables", "MissingKind",
    "MissingOffsets", "PositionMove", "Scope", "TableLayout", "ignore_checkpoint", "make_begin_app_id", "make_missing_app_ids",
    "make_position_app_id", "read_next_offset",
]  # fmt: skip
