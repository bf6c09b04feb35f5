"""Acceptance tests use data and checkers in a folder beside the project. Without that folder they are skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

_SHARED = Path(__file__).parents[3] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    if not _SHARED.is_dir():
        pytest.skip(f"{_SHARED} does not exist")
    return _SHARED
