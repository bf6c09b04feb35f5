"""A small published snapshot, and the pages run on it as a visitor would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from streamlit.testing.v1 import AppTest
from tests.unit.dashboard.snapshot_builder import publish_snapshot

Visit = Callable[..., AppTest]
SCRIPT = """
from soundlake.dashboard.entry.app import show_page
from soundlake.dashboard.pages import discover_pages

show_page({{page.path: page for page in discover_pages()}}[{path!r}])
"""


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one snapshot of 4,000 plays over 70 days."""
    home = tmp_path_factory.mktemp("home")
    publish_snapshot(home / "warehouse", "first")
    return home


@pytest.fixture
def cursor(published: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The snapshot, for questions written independently; `listens` are the plays that count."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"attach '{published}/warehouse/snapshots/first.duckdb' as snapshot (read_only)")
        connection.execute("create view plays as from snapshot.silver.silver_plays")
        connection.execute("create view listens as from plays where is_listen")
        yield connection


@pytest.fixture
def visit(monkeypatch: pytest.MonkeyPatch, published: Path) -> Visit:
    """Opens a page, by its path, with choices in the address; on the published snapshot or on another home."""

    def open_page(path: str, home: Path = published, **choices: str | list[str]) -> AppTest:
        monkeypatch.setenv("SOUNDLAKE_HOME", str(home))
        app = AppTest.from_string(SCRIPT.format(path=path), default_timeout=60)
        for name, choice in choices.items():
            app.query_params[name] = choice
        return app.run()

    return open_page
