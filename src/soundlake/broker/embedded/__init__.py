"""The embedded event log: one SQLite file, no server."""

from soundlake.broker.embedded.broker import EmbeddedBroker

__all__ = ["EmbeddedBroker"]
