"""What was rejected, and its way back into the log: listed with its reasons, published anew once."""

from soundlake.operations.dead_letters.listing import list_dead_letters
from soundlake.operations.dead_letters.models import DeadLetter, Listing, ReplayReport, Wanted
from soundlake.operations.dead_letters.replaying import Replayer

__all__ = ["DeadLetter", "Listing", "ReplayReport", "Replayer", "Wanted", "list_dead_letters"]
