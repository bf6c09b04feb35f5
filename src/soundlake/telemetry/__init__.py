"""What each process tells of its work: metrics as Prometheus reads them, all defined in one file and served on this machine alone."""

from soundlake.telemetry.process import Telemetry, open_telemetry, serve_telemetry

__all__ = ["Telemetry", "open_telemetry", "serve_telemetry"]
