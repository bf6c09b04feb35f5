"""The reconciliation of log, lake and warehouse."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from soundlake.errors import SettingsError
from soundlake.wiring.systems import open_broker, open_lake

if TYPE_CHECKING:
    from soundlake.progress import Reporter
    from soundlake.reconciliation import CheckReport
    from soundlake.settings import Settings


def check_everything(settings: Settings, reporter: Reporter) -> CheckReport:
    """Reconcile log, lake and warehouse. Raises Unavailable if nothing was built yet."""
    from soundlake.reconciliation import run_checks

    warehouse = settings.warehouse_address.path
    if warehouse is None:
        raise SettingsError("SOUNDLAKE_WAREHOUSE: only duckdb:// can be checked", next_step="leave it empty for the embedded warehouse")
    with closing(open_broker(settings)) as broker:
        return run_checks(broker, open_lake(settings), warehouse, datetime.now(UTC), reporter)
