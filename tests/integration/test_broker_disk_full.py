"""The embedded log on a disk that is really full."""

from __future__ import annotations

import subprocess
from contextlib import closing

import pytest

from soundlake.broker import EmbeddedBroker
from soundlake.contract.topics import PLAYS
from soundlake.errors import Unavailable


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"this user cannot mount a small disk: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def read_values(broker):
    end = broker.offsets(PLAYS.name)[0].end
    values = []
    while len(values) < end:
        values += broker.fetch(PLAYS.name, 0, len(values), max_records=1_000, max_bytes=1 << 24).values.to_pylist()
    return values


def append_until_refused(broker, values):
    acknowledged = 0
    while True:
        try:
            acknowledged += broker.append(PLAYS.name, [b"ann"] * 40, values[acknowledged : acknowledged + 40]).acknowledged
        except Unavailable as refusal:
            return refusal, acknowledged


@pytest.mark.parametrize("checkpoint_pages", [4_096, 8], ids=["in the write-ahead log", "while it is copied into the file"])
def test_a_full_disk_is_named_and_loses_nothing_acknowledged(small_disk, checkpoint_pages):
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 700_000)
    broker = EmbeddedBroker(small_disk / "broker.db")
    broker.create_topics([PLAYS], partitions=1)
    broker._file._db.execute(f"pragma wal_autocheckpoint = {checkpoint_pages}")
    values = [b"%04d" % n + b"x" * 996 for n in range(4_000)]
    refusal, acknowledged = append_until_refused(broker, values)
    assert "no space left for the event log" in refusal.message
    assert str(small_disk / "broker.db") in refusal.message
    assert f"free some space on the disk of {small_disk}" in refusal.next_step
    assert acknowledged >= 40
    assert read_values(broker) == values[:acknowledged]
    with closing(EmbeddedBroker(small_disk / "broker.db")) as another:  # as another process reads it
        assert read_values(another) == values[:acknowledged]

    ballast.unlink()
    assert broker.append(PLAYS.name, [b"ann"] * 40, values[acknowledged : acknowledged + 40]).acknowledged == 40
    broker.close()
    reopened = EmbeddedBroker(small_disk / "broker.db")
    assert read_values(reopened) == values[: acknowledged + 40]
    reopened.close()


def test_a_disk_without_any_space_is_named_when_the_log_is_created(small_disk):
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "ballast").write_bytes(b"x" * 4_000_000)
    with pytest.raises(Unavailable, match=r"broker\.db"):
        EmbeddedBroker(small_disk / "broker.db").create_topics([PLAYS], partitions=1)
