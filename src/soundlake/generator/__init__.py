"""Make events: a catalogue, listeners with tastes, their sittings, plays, skips, likes and playlists."""

from soundlake.generator.config import DEMO_CONFIG, GeneratorConfig
from soundlake.generator.world import World, generate_events, make_world

__all__ = ["DEMO_CONFIG", "GeneratorConfig", "World", "generate_events", "make_world"]
