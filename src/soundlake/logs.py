"""Logging: lines for people, or one JSON object per line; on standard error, without secrets."""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from soundlake.errors import SoundlakeError

_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PASSWORD_IN_URL = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)", re.IGNORECASE)
_REDACTED = "***"

_report_log = logging.getLogger("soundlake.report")


class Redactor:
    """Replaces secrets in text: the given ones, and any password in a URL."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)

    def redact(self, text: str) -> str:
        """Replace the secrets in a text."""
        for secret in self._secrets:
            text = text.replace(secret, _REDACTED)
        return _PASSWORD_IN_URL.sub(rf"\1{_REDACTED}", text)


class PlainFormatter(logging.Formatter):
    """Formats records as `2026-11-22T22:40:01Z WARNING soundlake.sink: message`, with the traceback below."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as text."""
        return self._redactor.redact(super().format(record))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  # the name in logging
        """Format the time of a record in UTC."""
        return datetime.fromtimestamp(record.created, UTC).strftime(datefmt or "%Y-%m-%dT%H:%M:%SZ")


class JsonFormatter(logging.Formatter):
    """Formats records as JSON objects: `time` (UTC), `level`, `service`, `logger`, `message`, `fields` (from `extra`), `error`."""

    def __init__(self, service: str, redactor: Redactor) -> None:
        super().__init__()
        self._service, self._redactor = service, redactor

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line of JSON."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if fields := {name: value for name, value in vars(record).items() if name not in _OWN_ATTRIBUTES}:
            line["fields"] = fields
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = dict(_describe_error(record.exc_info[1]))
        return json.dumps(self._to_json(line), ensure_ascii=False)

    def _to_json(self, value: object) -> object:
        """Convert a value to types of JSON, each text in it redacted."""
        if isinstance(value, dict):
            return {str(name): self._to_json(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._to_json(inner) for inner in value]
        if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
            return value
        return self._redactor.redact(str(value))


@dataclass
class _LogState:
    """The configuration of this process."""

    as_json: bool = False
    redactor: Redactor = field(default_factory=Redactor)


_state = _LogState()


def configure_logs(service: str, *, as_json: bool, secrets: Iterable[str] = ()) -> None:
    """Send all log records to standard error in this form; a second call replaces the first."""
    _state.as_json, _state.redactor = as_json, Redactor(secrets)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service, _state.redactor) if as_json else PlainFormatter(_state.redactor))
    logging.getLogger().handlers[:] = [handler]
    _report_log.setLevel(logging.INFO)
    logging.captureWarnings(as_json)
    threading.excepthook = _log_thread_error


def is_json() -> bool:
    """Return whether this process logs JSON."""
    return _state.as_json


def report(line: str, *, error: BaseException | None = None) -> None:
    """Write a line for the user: plain, or as a log record if this process logs JSON, then with the details of `error`."""
    if _state.as_json:
        _report_log.log(logging.INFO if error is None else logging.ERROR, line, exc_info=error)
    else:
        sys.stderr.write(f"{_state.redactor.redact(line)}\n")
        sys.stderr.flush()


def _describe_error(error: BaseException) -> Iterator[tuple[str, object]]:
    yield "kind", type(error).__name__
    yield "message", error.message if isinstance(error, SoundlakeError) else str(error)
    if isinstance(error, SoundlakeError) and error.next_step is not None:
        yield "next_step", error.next_step
    yield "traceback", "".join(traceback.format_exception(error))


def _log_thread_error(caught: threading.ExceptHookArgs) -> None:
    if caught.exc_value is not None and not isinstance(caught.exc_value, SystemExit):
        name = caught.thread.name if caught.thread is not None else "unknown"
        logging.getLogger("soundlake").error("the thread %s ended with an error", name, exc_info=caught.exc_value)
