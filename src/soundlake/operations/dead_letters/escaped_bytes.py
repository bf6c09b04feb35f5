"""Text that is safe to print, from bytes of unknown origin."""

from __future__ import annotations

import unicodedata

PREVIEW_CHARACTERS = 120
_BYTES_PER_CHARACTER = 4  # the most that UTF-8 takes


def escape_bytes(value: bytes | None) -> str:
    r"""All of the bytes: what is not UTF-8 as \x.., controls, direction marks and line breaks as escapes; `(null)` for None."""
    return "(null)" if value is None else escape_text(value.decode("utf-8", errors="backslashreplace"))


def preview_bytes(value: bytes | None, characters: int = PREVIEW_CHARACTERS) -> str:
    """The beginning of the bytes, escaped; ends with `…` if there are more."""
    if value is None:
        return "(null)"
    limit = _BYTES_PER_CHARACTER * characters
    text = value[:limit].decode("utf-8", errors="backslashreplace")
    return escape_text(text[:characters]) + ("…" if len(text) > characters or len(value) > limit else "")


def escape_text(text: str) -> str:
    """Controls, direction marks and line breaks as escapes."""
    return "".join(letter.encode("unicode_escape").decode() if _is_unsafe(letter) else letter for letter in text)


def _is_unsafe(letter: str) -> bool:
    """Whether a terminal obeys the character or does not show it: categories C*, line and paragraph separators."""
    category = unicodedata.category(letter)
    return category.startswith("C") or category in ("Zl", "Zp")
