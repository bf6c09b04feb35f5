"""The sink: moves records from the event log to bronze, each exactly once."""

from soundlake.sink.job import Sink
from soundlake.sink.models import CHECKPOINTS, SinkLimits, SinkReport, TopicReport
from soundlake.sink.observer import SinkObserver, StoredBatch

__all__ = ["CHECKPOINTS", "Sink", "SinkLimits", "SinkObserver", "SinkReport", "StoredBatch", "TopicReport"]
