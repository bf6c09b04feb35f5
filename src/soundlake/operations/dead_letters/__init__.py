"""What was rejected, and its way back into the log: listed with its reasons, published anew once."""

from soundlake.operations.dead_letters.listing import list_dead_letters
from soundlake.operations.dead_letters.models import DeadLetter, DeadLetterFilter, Listing, ReplayReport
from soundlake.operations.dead_letters.replayer import Replayer

__all__ = ["DeadLetter", "DeadLetterFilter", "Listing", "ReplayReport", "Replayer", "list_dead_letters"]
