"""Reads answers of the Web API: unknown members are ignored, and a member of an unexpected kind counts as missing."""

from __future__ import annotations

from typing import Any, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from soundlake.spotify.models import RecentItem, RecentPage

T = TypeVar("T")

_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}
"""Built once a type: building one takes longer than reading an answer."""


class UnreadableAnswer(ValueError):
    """The answer is not what the call gives: an HTML page, a cut text, a list in place of an object."""


def decode_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises UnreadableAnswer."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as cause:
        raise UnreadableAnswer(f"the answer is not JSON: {cause}") from None  # the cause holds the whole body
    if not isinstance(value, dict):
        raise UnreadableAnswer(f"the answer is a {type(value).__name__}, not an object")
    return value


def read_answer(kind: type[T], value: dict[str, Any]) -> T:
    """Read an object as a `kind` of soundlake.spotify.models; removes from `value` what is not of the expected kind.

    Raises UnreadableAnswer if what remains is not enough: a recent item without its time.
    """
    adapter: TypeAdapter[T] = _adapt(kind)
    while True:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False)
        # the parent goes where a required member is missing; from the back, so that the positions in a list still hold
        places = sorted({tuple(p["loc"][:-1] if p["type"] == "missing" else p["loc"]) for p in problems}, reverse=True)
        if () in places:
            raise UnreadableAnswer(f"no {kind.__name__}: {problems[0]['msg']} ({'.'.join(map(str, problems[0]['loc']))})")
        for place in places:
            _remove(value, place)


def read_recent_page(value: dict[str, Any]) -> RecentPage:
    """Read an answer of recently-played, entry by entry: an unreadable one is counted and costs no other."""
    items, unreadable = [], 0
    entries = value.get("items")
    for entry in entries if isinstance(entries, list) else ():
        try:
            items.append(read_answer(RecentItem, entry))
        except UnreadableAnswer:
            unreadable += 1
    return RecentPage(tuple(items), unreadable)


def _adapt(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401  # any type
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def _remove(value: Any, place: tuple[int | str, ...]) -> None:  # noqa: ANN401  # JSON
    for name in place[:-1]:
        value = value[name]
    del value[place[-1]]
