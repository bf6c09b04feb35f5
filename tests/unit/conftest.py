"""Fixtures of several unit tests."""

from __future__ import annotations

import pytest

from soundlake.settings import load_settings


@pytest.fixture
def make_settings(monkeypatch, tmp_path):
    """Settings of an environment that holds just what the test names."""

    def make(**environment: str):
        for name, value in {"SOUNDLAKE_HOME": str(tmp_path), **environment}.items():
            monkeypatch.setenv(name, value)
        return load_settings(_env_file=None)

    return make
