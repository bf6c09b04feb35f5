"""Reconciliation: compare the counts of log, bronze, silver and gold, with rows by rule and the freshness of the data."""

from soundlake.reconciliation.models import Check, CheckReport, Freshness
from soundlake.reconciliation.service import run_checks

__all__ = ["Check", "CheckReport", "Freshness", "run_checks"]
