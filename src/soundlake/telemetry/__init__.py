"""What each process tells of its work: metrics as Prometheus reads them, served to this machine unless told otherwise."""

from soundlake.telemetry.process import Telemetry, open_telemetry, serve_telemetry

__all__ = ["Telemetry", "open_telemetry", "serve_telemetry"]
