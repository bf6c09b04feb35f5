from datetime import date

import pytest

from soundlake.errors import UsageError
from soundlake.generator import DEMO_CONFIG, GeneratorConfig


@pytest.mark.parametrize(("option", "value"), [("listeners", 0), ("days", 0), ("seed", -1), ("tracks", 3), ("listeners", 10**9)])
def test_an_option_out_of_range_is_an_error_with_its_name_and_range(option, value):
    with pytest.raises(UsageError, match=f"--{option} {value}.*\n.*from .* to "):
        GeneratorConfig(**{option: value})


def test_dates_out_of_range_are_an_error():
    with pytest.raises(UsageError, match="--start 1999-01-01"):
        GeneratorConfig(start=date(1999, 1, 1))


def test_end_before_moves_the_last_day():
    config = DEMO_CONFIG.end_before(date(2026, 3, 1))
    assert (config.end, config.start) == (date(2026, 3, 1), date(2026, 2, 9))
