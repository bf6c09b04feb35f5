"""Figures and dates as text, and links to Spotify."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from soundlake.dashboard import formatting
from soundlake.dashboard.pages.recommendations import list_entries
from soundlake.dashboard.query_results import Recommendation
from soundlake.dashboard.spotify_links import find_spotify_link

SPOTIFY_ID = "4uLU6hMCjMI75M1A2tKUQC"


@pytest.mark.parametrize(
    ("ms", "words"),
    [(0, "0 min"), (29_999, "0 min"), (59 * 60_000 + 40_000, "1 h 0 min"), (45_000_000, "12 h 30 min"), (4_444_200_000, "1,234 h")],
)
def test_listening_time_is_in_hours_and_minutes(ms: int, words: str) -> None:
    assert formatting.format_duration(ms) == words


def test_counts_shares_means_and_changes() -> None:
    assert formatting.format_count(1_234_567) == "1,234,567"
    assert [formatting.format_mean(mean) for mean in (0.04, 99.94, 1234.5, None)] == ["0.0", "99.9", "1,234", "–"]
    assert formatting.format_share(0.1234) == "12.3 %"
    assert formatting.format_share(None) == "–"
    assert formatting.format_change(150, 100) == "+50.0 %"
    assert formatting.format_change(1, 0) is None
    assert formatting.format_points(0.25, 0.2) == "+5.0 points"
    assert formatting.format_points(None, 0.2) is None


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        (date(2026, 3, 1), date(2026, 3, 1), "1 Mar 2026"),
        (date(2026, 2, 1), date(2026, 3, 1), "1 Feb – 1 Mar 2026"),
        (date(2025, 12, 31), date(2026, 1, 1), "31 Dec 2025 – 1 Jan 2026"),
    ],
    ids=["one day", "one year", "over the new year"],
)
def test_a_range_of_days_names_each_year_once(first: date, last: date, words: str) -> None:
    assert formatting.format_days(first, last) == words


def test_a_time_is_marked_as_utc() -> None:
    assert formatting.format_moment(datetime(2026, 3, 1, 9, 5, tzinfo=UTC)) == "1 Mar 2026, 09:05 UTC"


def test_device_types_are_titles_and_abbreviations_are_upper_case() -> None:
    assert [formatting.format_device(device) for device in ("mobile", "game_console", "tv")] == ["Mobile", "Game console", "TV"]


def test_text_from_the_data_is_not_read_as_markdown() -> None:
    assert formatting.escape_markdown("**me**_you_ $x$") == r"\*\*me\*\*\_you\_ \$x\$"


@pytest.mark.parametrize(
    ("track_id", "name", "artist", "is_synthetic", "link"),
    [
        (SPOTIFY_ID, "Song", "Band", False, f"https://open.spotify.com/track/{SPOTIFY_ID}"),
        ("name:0b9c", "AC/DC & me?", "Band", False, "https://open.spotify.com/search/Band%20AC%2FDC%20%26%20me%3F"),
        (SPOTIFY_ID + "/..", "Song", None, False, "https://open.spotify.com/search/Song"),
        (None, "نهر", "川", False, "https://open.spotify.com/search/%E5%B7%9D%20%D9%86%D9%87%D8%B1"),
        (SPOTIFY_ID, "Song", "Band", True, None),
        ("name:0b9c", None, "Band", False, None),
    ],
    ids=["a Spotify id", "another id", "an id with a tail", "other scripts", "a synthetic track", "a nameless track"],
)
def test_a_link_leads_to_the_track_or_a_search_and_a_synthetic_track_has_none(
    track_id: str | None, name: str | None, artist: str | None, is_synthetic: bool, link: str | None
) -> None:
    assert find_spotify_link(track_id, name, artist, is_synthetic=is_synthetic) == link


def test_a_score_of_zero_is_shown_as_not_scored() -> None:
    fields = {"artist_name": "B", "album_name": None, "source": "started", "reason": "you started it", "is_synthetic": False}
    scored, unscored = (Recommendation(rank=1, track_id="t", track_name="A", score=score, **fields) for score in (0.25, 0.0))
    assert [entry.figure for entry in list_entries([scored, unscored])] == ["score 0.250", "not scored"]
    assert [(entry.figure, entry.bar) for entry in list_entries([unscored])] == [("not scored", 0.0)]
