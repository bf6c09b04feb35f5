"""The warehouse: dbt builds silver and gold from bronze, then publishes a snapshot for readers."""

from soundlake.warehouse.observer import TransformReport
from soundlake.warehouse.service import Warehouse
from soundlake.warehouse.snapshot import Snapshot, open_snapshot, read_current_id, read_published_at

__all__ = ["Snapshot", "TransformReport", "Warehouse", "open_snapshot", "read_current_id", "read_published_at"]
