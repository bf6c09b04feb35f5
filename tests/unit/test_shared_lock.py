"""A lock that many share and one holds alone."""

from __future__ import annotations

import subprocess
import sys
import threading

from soundlake.local_files import hold_alone, share_lock


def start(work) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def enter(lock, path, entered: list[str], name: str, leave: threading.Event | None = None) -> threading.Thread:
    def work() -> None:
        with lock(path):
            entered.append(name)
            if leave is not None:
                leave.wait(10)

    return start(work)


def test_several_share_it_and_one_that_is_alone_waits_for_all(tmp_path):
    entered: list[str] = []
    with share_lock(tmp_path / "lock"), share_lock(tmp_path / "lock"):
        alone = enter(hold_alone, tmp_path / "lock", entered, "alone")
        alone.join(0.2)
        assert entered == []
    alone.join(10)
    assert entered == ["alone"]


def test_who_waits_to_be_alone_comes_before_later_ones_who_share(tmp_path):
    entered: list[str] = []
    with share_lock(tmp_path / "lock"):
        alone = enter(hold_alone, tmp_path / "lock", entered, "alone")
        alone.join(0.2)
        later = enter(share_lock, tmp_path / "lock", entered, "later")
        later.join(0.2)
        assert entered == []
    alone.join(10)
    later.join(10)
    assert entered == ["alone", "later"]


def test_it_ends_with_its_process(tmp_path):
    program = (
        "import os, sys, pathlib; from soundlake.local_files import hold_alone\nwith hold_alone(pathlib.Path(sys.argv[1])): os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path / "lock")], check=False, timeout=60).returncode == 9
    with share_lock(tmp_path / "lock"):
        pass
