"""Words for made-up names, read from words.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Script:
    """A script other than Latin: first and second words of artists and titles, their separator, and the sub-genres that use it."""

    joint: str
    artist_first: tuple[str, ...]
    artist_second: tuple[str, ...]
    title_first: tuple[str, ...]
    title_second: tuple[str, ...]
    subgenres: tuple[str, ...]


@dataclass(frozen=True)
class Words:
    """All words by use; `genres` maps genres to their sub-genres."""

    adjectives: tuple[str, ...]
    nouns: tuple[str, ...]
    given_names: tuple[str, ...]
    family_names: tuple[str, ...]
    verbs: tuple[str, ...]
    things: tuple[str, ...]
    emoji: tuple[str, ...]
    versions: tuple[str, ...]
    playlists: tuple[str, ...]
    scripts: tuple[Script, ...]
    genres: dict[str, tuple[str, ...]]


@cache
def load_words() -> Words:
    """The words in words.toml."""
    read = tomllib.loads(files("soundlake.generator.model.fake_catalogue").joinpath("words.toml").read_text(encoding="utf-8"))
    scripts = tuple(
        Script(joint=script.pop("joint"), **{name: tuple(part) for name, part in script.items()}) for script in read.pop("scripts").values()
    )
    genres = {genre: tuple(subgenres) for genre, subgenres in read.pop("genres").items()}
    return Words(scripts=scripts, genres=genres, **{name: tuple(part) for name, part in read.items()})
