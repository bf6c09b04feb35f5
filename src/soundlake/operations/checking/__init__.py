"""Does everything add up? The reconciliation of log, bronze, silver and gold, rule by rule, with freshness."""

from soundlake.operations.checking.models import Check, CheckReport, Freshness
from soundlake.operations.checking.service import run_checks

__all__ = ["Check", "CheckReport", "Freshness", "run_checks"]
