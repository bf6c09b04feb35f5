"""Telemetry of a process: its log form, and metrics for Prometheus, served on this machine only by default."""

from soundlake.telemetry.process import Telemetry, open_telemetry, serve_telemetry

__all__ = ["Telemetry", "open_telemetry", "serve_telemetry"]
