"""The warehouse: dbt builds silver and gold from bronze, a snapshot is published, readers open it."""

from soundlake.warehouse.observing import TransformReport
from soundlake.warehouse.service import Warehouse
from soundlake.warehouse.snapshot import Snapshot, current_id, current_time, open_snapshot

__all__ = ["Snapshot", "TransformReport", "Warehouse", "current_id", "current_time", "open_snapshot"]
