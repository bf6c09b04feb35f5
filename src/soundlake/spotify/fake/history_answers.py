"""Answers of /me/player/recently-played: the 50 newest entries, and no page beyond them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from soundlake.spotify.fake.catalogue import API_URL, FakeCatalogue, Json
from soundlake.spotify.fake.clock import from_ms
from soundlake.spotify.fake.messages import Refusal, answer_error
from soundlake.spotify.fake.player_answers import describe_context
from soundlake.spotify.fake.timeline import Listing

NEWEST = 50
_DEFAULT_LIMIT = 20


def describe_history(listings: Sequence[Listing], query: Mapping[str, str], catalogue: FakeCatalogue) -> Json:
    """A page of the list; `listings` are newest first. Raises Refusal for a wrong limit and for `after` with `before`."""
    limit, after, before = _read_number(query, "limit"), _read_number(query, "after"), _read_number(query, "before")
    if after is not None and before is not None:
        raise Refusal(answer_error(400, "Only one of after or before should be specified"))
    limit = _DEFAULT_LIMIT if limit is None else limit
    if not 1 <= limit <= NEWEST:
        raise Refusal(answer_error(400, "Invalid limit"))
    found = [one for one in listings if (after is None or one.played_at_ms > after) and (before is None or one.played_at_ms < before)]
    page = found[-limit:] if after is not None else found[:limit]
    href = f"{API_URL}/me/player/recently-played"
    oldest = page[-1].played_at_ms if page else None
    return {
        "items": [_describe_listing(one, catalogue) for one in page],
        "next": f"{href}?before={oldest}&limit={limit}" if len(found) > len(page) else None,
        "cursors": {"after": str(page[0].played_at_ms), "before": str(oldest)} if page else None,
        "limit": limit,
        "href": f"{href}?limit={limit}",
    }


def _describe_listing(listing: Listing, catalogue: FakeCatalogue) -> Json:
    return {
        "track": catalogue.describe_track(listing.track),
        "played_at": f"{from_ms(listing.played_at_ms):%Y-%m-%dT%H:%M:%S}.{listing.played_at_ms % 1_000:03d}Z",
        "context": describe_context(listing.context_uri),
    }


def _read_number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit():
        raise Refusal(answer_error(400, f"Invalid {name}"))
    return int(text)
