"""Bytes of strangers as text that is safe to print."""

from __future__ import annotations

import unicodedata

PREVIEW_CHARACTERS = 120
_MOST_BYTES = 4 * PREVIEW_CHARACTERS


def preview(value: bytes | None) -> str:
    r"""The beginning of the bytes: what is no UTF-8 as \x.., what a terminal would obey or hide (controls, direction marks) as \u...."""
    if value is None:
        return "(null)"
    text = value[:_MOST_BYTES].decode("utf-8", errors="backslashreplace")
    shown = "".join(_escape(letter) for letter in text[:PREVIEW_CHARACTERS])
    return shown + "…" if len(text) > PREVIEW_CHARACTERS or len(value) > _MOST_BYTES else shown


def _escape(letter: str) -> str:
    hidden = unicodedata.category(letter)[0] == "C" or unicodedata.category(letter) in ("Zl", "Zp")
    return letter.encode("unicode_escape").decode() if hidden else letter
