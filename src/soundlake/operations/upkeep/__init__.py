"""What has to be done beside the sink: small files joined, old files deleted, and what the settings keep no longer let go of."""

from soundlake.operations.upkeep.service import Upkeep, UpkeepReport

__all__ = ["Upkeep", "UpkeepReport"]
