"""The request budget of an app: how many calls it may make, and who waits until when; shared by all processes of a home."""

from soundlake.spotify.budget.ledger import App, AppUse, Limits, Park, Purpose
from soundlake.spotify.budget.request_budget import RequestBudget

__all__ = ["App", "AppUse", "Limits", "Park", "Purpose", "RequestBudget"]
"""What the other modules of this package use."""
