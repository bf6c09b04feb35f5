from dataclasses import replace
from datetime import date

import pyarrow as pa
import pytest

from soundlake.generator import GeneratorConfig, World, make_world

SMALL = GeneratorConfig(listeners=30, days=8, seed=5, start=date(2026, 3, 25), tracks=800)  # daylight saving begins on its way


@pytest.fixture(scope="session")
def small_world() -> World:
    return make_world(SMALL)


@pytest.fixture(scope="session")
def small_events(small_world) -> pa.Table:
    return pa.concat_tables(small_world.make_events(chunk) for chunk in small_world.list_chunks())


@pytest.fixture
def vary():
    """Another small world: `vary(listeners=60)`."""
    return lambda **changes: replace(SMALL, **changes)
