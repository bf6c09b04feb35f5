"""The variants of a case of the kind `merge`, which it describes in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Case = Mapping[str, Any]
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBERS = {word: number for number, word in enumerate(_WORDS)}
OBSERVATIONS = {
    "live": ("states", "live_plays", "live_intervals"), "recently-played": ("recent",), "export": ("extended_export", "short_export"),
    "lastfm": ("lastfm", "lastfm_minute", "lastfm_seconds"), "listenbrainz": ("listenbrainz",),
}  # fmt: skip
"""The members of `given` that each source has."""


def make_merge_variant(case: Case, words: str) -> Case | None:
    """The case in the variant of these words; None if they are not understood."""
    for pattern, change in _VARIANTS:
        if found := re.search(pattern, words):
            return change(case, words, *found.groups())
    return None


def read_count(word: str) -> int:
    """A number in digits or as a word."""
    return int(word) if word.isdigit() else _NUMBERS[word]


def _only_recent(case: Case, words: str, *_: str) -> Case:
    return _expect_words(_drop(case, *(name for name in OBSERVATIONS if name != "recently-played")), words)


def _without(case: Case, words: str, source: str) -> Case:
    """Without one source: its name leaves the expected sources; a play that nobody else observed is gone."""
    names = {"live": "spotify_live", "recently-played": "spotify_recent", "export": "spotify_export"}
    gone, plays = names.get(source, source), []
    for play in case["expect"].get("plays", ()):
        left = [name for name in play.get("sources", [""]) if name != gone]
        plays += [{**play, "sources": left} if "sources" in play else play] if left else []
    return {**_drop(case, source), "expect": {**case["expect"], "plays": plays}}


def _without_live(case: Case, words: str) -> Case:
    right = str(case["expect"].get("without_live", words))
    return _expect_words(_drop(case, "live"), right)


def _repeat(case: Case, words: str, seconds: str, count: str) -> Case:
    """One short track again and again, live and by recently-played."""
    length, times = int(seconds), read_count(count)
    letter = next(iter(case["tracks"]))
    plays = [
        {"track": letter, "start": n * length, "ms": length * 1_000, "sources": ["spotify_live", "spotify_recent"]} for n in range(times)
    ]
    if "listens" in words:
        plays = [play | {"is_listen": True} for play in plays]
    given = {
        "live_plays": [[letter, n * length, length * 1_000] for n in range(times)],
        "recent": [[letter, (n + 1) * length] for n in range(times)],
    }
    return {**case, "tracks": {letter: length * 1_000}, "given": given, "expect": {"plays": plays}}


def _no_isrc(case: Case, _: str) -> Case:
    return {**case, "isrc": {}, "given": {**case["given"], "isrc": {}}}


def _other_isrc(case: Case, _: str) -> Case:
    """Another ISRC for each id, and the title of the first for all ids of one song."""
    given = case["given"]
    names, isrcs = given.get("names", case.get("names", {})), given.get("isrc", case.get("isrc", {}))
    first = next(iter(names.values()), None)
    changed = {letter: f"QZYYY26{number:05}" for number, letter in enumerate(isrcs)}
    return {**case, "isrc": {}, "names": {}, "given": {**given, "isrc": changed, "names": dict.fromkeys(names, first)}}


def _versions(case: Case, _: str) -> Case:
    """A live version and then the studio version: two plays."""
    first, second = list(case["tracks"])[:2]
    lengths = [case["tracks"][first], case["tracks"][second]]
    starts = [0, lengths[0] / 1_000]
    ends = [starts[1], starts[1] + lengths[1] / 1_000]
    given = {
        "live_plays": [[first, starts[0], lengths[0]], [second, starts[1], lengths[1]]],
        "recent": [[first, ends[0]], [second, ends[1]]],
        "names": {first: "Song - Live", second: "Song"},
        "isrc": {first: "QZXXX2600008", second: "QZXXX2600009"},
    }
    plays = [
        {"track": letter, "start": start, "ms": length, "sources": ["spotify_live", "spotify_recent"]}
        for letter, start, length in zip((first, second), starts, lengths, strict=True)
    ]
    return {**case, "isrc": {}, "names": {}, "given": given, "expect": {"plays": plays}}


def _listened_at(case: Case, _: str, at: str) -> Case:
    listens = [{**listen, "listened_at": float(at)} for listen in case["given"]["listenbrainz"]]
    return {**case, "given": {**case["given"], "listenbrainz": listens}}


def _listen_again(case: Case, _: str) -> Case:
    return {**case, "given": {**case["given"], "listenbrainz": [*case["given"]["listenbrainz"]] * 2}}


def _same(case: Case, _: str) -> Case:
    """The order of the sources is tried in each case."""
    return case


def _drop(case: Case, *sources: str) -> Case:
    gone = {member for source in sources for member in OBSERVATIONS[source]}
    return {**case, "given": {name: value for name, value in case["given"].items() if name not in gone}}


def _expect_words(case: Case, words: str) -> Case:
    """What a sentence says of the plays: how many there are, and the values of columns (`ms_played null`)."""
    expect: dict[str, Any] = {}
    if count := re.search(rf"\b({'|'.join(_NUMBERS)}|\d+) plays?\b", words):
        expect["count"] = read_count(count[1])
    for name, value in re.findall(r"\b([a-z]+(?:_[a-z]+)+) (null|true|false|\w+)", words):
        expect.setdefault("every_play", {})[name] = {"null": None, "true": True, "false": False}.get(value, value)
    return {**case, "expect": expect}


_VARIANTS: tuple[tuple[str, Callable[..., Case]], ...] = (
    (r"^only .*recently-played", _only_recent),
    (r"^without_live:|^the same .* stamps alone", _without_live),
    (r"a track of (\d+) s (\w+) times in a row", _repeat),
    (r"^no isrc", _no_isrc),
    (r"different isrc", _other_isrc),
    (r"live version and the studio version", _versions),
    (r"listened_at is .*\((\d+)\)", _listened_at),
    (r"same listen .* again", _listen_again),
    (r"(?:^no|without)(?: the| any)? (live|recently-played|export|lastfm|listenbrainz)", _without),
    (r"order|before the|after the|first|last|twice|second time", _same),
)
