"""Log formats: JSON with one object per line, and plain lines, both without secrets."""

from __future__ import annotations

import json
import logging
import math
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from soundlake.errors import Unavailable
from soundlake.logs import JsonFormatter, PlainFormatter, Redactor

SECRET = 's3cr3t/öÄ"quoted'


def make_record(message: str, *arguments: object, level: int = logging.WARNING, error: BaseException | None = None, **extra: object):
    caught = (type(error), error, error.__traceback__) if error is not None else None
    record = logging.makeLogRecord({"name": "soundlake.sink", "levelno": level, "levelname": logging.getLevelName(level), **extra})
    record.msg, record.args, record.exc_info = message, arguments, caught
    return record


def format_json(record: logging.LogRecord, secrets: tuple[str, ...] = (SECRET,)) -> dict:
    line = JsonFormatter("sink", Redactor(secrets)).format(record)
    assert "\n" not in line
    return json.loads(line)


def raise_and_catch(error: Exception) -> Exception:
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


def test_a_line_has_its_time_service_logger_message_and_fields():
    written = format_json(make_record("%d events wait", 3, topic="user_plays", offsets=[1, 2]))
    moment = datetime.fromisoformat(written.pop("time"))
    assert moment.tzinfo == UTC
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60
    assert written == {
        "level": "warning",
        "service": "sink",
        "logger": "soundlake.sink",
        "message": "3 events wait",
        "fields": {"topic": "user_plays", "offsets": [1, 2]},
    }


def test_an_error_comes_with_its_kind_its_next_step_and_its_traceback():
    error = raise_and_catch(Unavailable("no answer", next_step="wait"))
    written = format_json(make_record("it failed", error=error))["error"]
    assert (written["kind"], written["message"], written["next_step"]) == ("Unavailable", "no answer", "wait")
    assert "raise_and_catch" in written["traceback"]


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(make_record(f"the key is {SECRET}"), id="message"),
        pytest.param(make_record("the key is %s", SECRET), id="argument"),
        pytest.param(make_record("denied", key=SECRET), id="field"),
        pytest.param(make_record("denied", options={"keys": [("secret", SECRET)]}), id="nested field"),
        pytest.param(make_record("denied", error=raise_and_catch(Unavailable(f"refused {SECRET}", next_step=SECRET))), id="error"),
        pytest.param(make_record("denied", error=raise_and_catch(ValueError(SECRET))), id="traceback"),
        pytest.param(make_record("denied", other=Unavailable(SECRET)), id="object"),
    ],
)
@pytest.mark.parametrize(
    "formatter", [JsonFormatter("sink", Redactor([SECRET])), PlainFormatter(Redactor([SECRET]))], ids=["json", "plain"]
)
def test_a_secret_is_in_no_line(record, formatter):
    line = formatter.format(record)
    assert SECRET not in line
    assert json.dumps(SECRET, ensure_ascii=False)[1:-1] not in line
    assert "s3cr3t" not in line


def test_a_password_in_a_url_is_redacted_even_if_it_is_not_a_known_secret():
    written = format_json(make_record("cannot reach rediss://worker:hunter2@cache.example:6379/0 or redis://:hunter2@localhost"), ())
    assert written["message"] == "cannot reach rediss://worker:***@cache.example:6379/0 or redis://:***@localhost"


@pytest.mark.parametrize("text", ["עברית", "line\nbreak", "\x00\x1b[31m", "🎧", '"quoted"'])
def test_any_text_stays_on_one_line_and_comes_back(text):
    assert format_json(make_record("%s", text))["message"] == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_cannot_represent_becomes_text(value):
    assert format_json(make_record("odd", value=value))["fields"]["value"] == str(value)


PROGRAM = """
import logging, sys, threading, warnings
from soundlake.logs import configure_logs, report
configure_logs("program", as_json=sys.argv[1] == "json", secrets=["hunter2"])
report("begun with hunter2")
logging.getLogger("soundlake.any").warning("one %s", "hunter2")
logging.getLogger("another.library").info("not wanted")
def fail(): raise OSError("hunter2 in a thread")
thread = threading.Thread(target=fail, name="worker"); thread.start(); thread.join()
warnings.warn("old")
"""


def run_program(form: str) -> list[str]:
    ended = subprocess.run([sys.executable, "-c", PROGRAM, form], capture_output=True, text=True, check=True)
    assert ended.stdout == ""
    assert "hunter2" not in ended.stderr
    return ended.stderr.splitlines()


def test_all_output_of_a_process_is_json_if_configured_so():
    lines = [json.loads(line) for line in run_program("json")]
    assert [(line["level"], line["message"].splitlines()[0]) for line in lines[:3]] == [
        ("info", "begun with ***"),
        ("warning", "one ***"),
        ("error", "the thread worker ended with an error"),
    ]
    assert lines[2]["error"]["kind"] == "OSError"
    assert (lines[3]["logger"], "old" in lines[3]["message"]) == ("py.warnings", True)


def test_a_plain_report_is_the_line_itself():
    assert run_program("plain")[0] == "begun with ***"
