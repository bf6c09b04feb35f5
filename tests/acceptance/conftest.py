"""What acceptance is held against: data and checkers beside the project; where they are absent these tests are skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

_SHARED = Path(__file__).parents[3] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    if not _SHARED.is_dir():
        pytest.skip(f"{_SHARED} is not here")
    return _SHARED
