"""The made-up catalogue: tracks, albums and artists with believable names."""

from soundlake.generator.model.fake_catalogue.tracks import make_fake_tracks
from soundlake.generator.model.fake_catalogue.words import load_words

__all__ = ["load_words", "make_fake_tracks"]
