"""Upkeep beside the sink: compact small files, vacuum old ones, delete rows and log records past retention."""

from soundlake.operations.upkeep.service import Upkeep, UpkeepReport

__all__ = ["Upkeep", "UpkeepReport"]
