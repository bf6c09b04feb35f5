"""Plausible made-up names of artists, albums and tracks, in the script of the artist."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from soundlake.generator.model.fake_catalogue.words import Script, load_words
from soundlake.generator.model.randomness import Ints

_OTHER_SCRIPT_SHARE = 0.05
_PERSON_NAME, _THE_BAND_NAME, _BAND_NAME = 0.4, 0.65, 0.9
_VERB_TITLE, _ADJECTIVE_TITLE, _PAIR_TITLE = 0.3, 0.6, 0.8
"""Cumulative shares of the forms of artists' names and of titles; the rest is a single word."""
_ROMAN = ((100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))


class NameGenerator:
    """Generates names of artists, albums and tracks."""

    def __init__(self, random: Random, subgenre_of_artist: list[str]) -> None:
        self._random, self._words = random, load_words()
        self._script_of_subgenre = {subgenre: script for script in self._words.scripts for subgenre in script.subgenres}
        self._script_of_artist = [self._choose_script(subgenre) for subgenre in subgenre_of_artist]

    def name_artists(self) -> list[str]:
        """A unique name for each artist."""
        uses: dict[str, int] = {}
        names = []
        for script in self._script_of_artist:
            name = self._name_artist(script)
            uses[name] = uses.get(name, 0) + 1
            names.append(name if uses[name] == 1 else f"{name} {_write_roman(uses[name])}")
        return names

    def name_albums(self, artists: Ints) -> list[str]:
        """A title for each album, given its artist."""
        return [self._make_title(self._script_of_artist[artist]) for artist in artists.tolist()]

    def name_tracks(self, artists: Ints) -> list[str]:
        """A title for each track, given its artist."""
        return [self._make_title(self._script_of_artist[artist]) + self._make_version() for artist in artists.tolist()]

    def _choose_script(self, subgenre: str) -> Script | None:
        if subgenre in self._script_of_subgenre:
            return self._script_of_subgenre[subgenre]
        scripts = self._words.scripts
        return scripts[int(self._random.random() * len(scripts))] if self._random.random() < _OTHER_SCRIPT_SHARE else None

    def _pick(self, options: Sequence[str]) -> str:
        return options[int(self._random.random() * len(options))]

    def _name_artist(self, script: Script | None) -> str:
        words = self._words
        if script is not None:
            return self._pick(script.artist_first) + script.joint + self._pick(script.artist_second)
        form = self._random.random()
        if form < _PERSON_NAME:
            return f"{self._pick(words.given_names)} {self._pick(words.family_names)}"
        if form < _THE_BAND_NAME:
            return f"The {self._pick(words.adjectives)} {self._pick(words.nouns)}"
        if form < _BAND_NAME:
            return f"{self._pick(words.adjectives)} {self._pick(words.nouns)}"
        return self._pick(words.nouns) + self._pick(words.nouns).lower()

    def _make_title(self, script: Script | None) -> str:
        words = self._words
        if script is not None:
            return self._pick(script.title_first) + script.joint + self._pick(script.title_second)
        form = self._random.random()
        if form < _VERB_TITLE:
            return f"{self._pick(words.verbs)} {self._pick(words.things)}"
        if form < _ADJECTIVE_TITLE:
            return f"{self._pick(words.adjectives)} {self._pick(words.nouns)}"
        if form < _PAIR_TITLE:
            return f"{self._pick(words.nouns)} and {self._pick(words.nouns)}"
        return self._pick(words.nouns)

    def _make_version(self) -> str:
        version = self._pick(self._words.versions)
        return version.format(guest=self._name_artist(None), emoji=self._pick(self._words.emoji)) if "{" in version else version


def _write_roman(number: int) -> str:
    text = ""
    for value, sign in _ROMAN:
        text += sign * (number // value)
        number %= value
    return text
