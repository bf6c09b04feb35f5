from datetime import date

import pytest

from soundlake.errors import UsageError
from soundlake.generator import DEMO_CONFIG, GeneratorConfig


@pytest.mark.parametrize(("option", "value"), [("listeners", 0), ("days", 0), ("seed", -1), ("tracks", 3), ("listeners", 10**9)])
def test_an_impossible_option_is_refused_with_its_name_and_range(option, value):
    with pytest.raises(UsageError, match=f"--{option} {value}.*\n.*from .* to "):
        GeneratorConfig(**{option: value})


def test_a_story_that_leaves_the_calendar_is_refused():
    with pytest.raises(UsageError, match="--start 1999-01-01"):
        GeneratorConfig(start=date(1999, 1, 1))


def test_the_demo_ends_where_it_is_told_to():
    config = DEMO_CONFIG.ending(date(2026, 3, 1))
    assert (config.end, config.start) == (date(2026, 3, 1), date(2026, 2, 9))
