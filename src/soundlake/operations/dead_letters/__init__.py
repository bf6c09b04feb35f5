"""The dead-letter queue: list rejected records with their reasons, show one, publish again what decodes after a fix."""

from soundlake.operations.dead_letters.listing import list_dead_letters
from soundlake.operations.dead_letters.lookup import find_dead_letter
from soundlake.operations.dead_letters.models import DeadLetter, DeadLetterFilter, Listing, RecordId, RejectedRecord, ReplayReport
from soundlake.operations.dead_letters.replayer import Replayer

__all__ = [
    "DeadLetter", "DeadLetterFilter", "Listing", "RecordId", "RejectedRecord", "ReplayReport", "Replayer", "find_dead_letter",
    "list_dead_letters",
]  # fmt: skip
