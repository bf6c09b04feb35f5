"""Does everything add up? The reconciliation of log, bronze, silver and gold, rule by rule, with freshness."""

from soundlake.reconciliation.models import Check, CheckReport, Freshness
from soundlake.reconciliation.service import run_checks

__all__ = ["Check", "CheckReport", "Freshness", "run_checks"]
