"""Synthetic listening events: a catalogue, listeners with tastes, and their sessions, plays, skips, likes and playlists."""

from soundlake.generator.model.config import DEMO_CONFIG, GeneratorConfig
from soundlake.generator.model.live import LiveEvents, generate_live_events
from soundlake.generator.model.neighbours import generate_neighbours
from soundlake.generator.model.world import World, generate_events, make_world

__all__ = [
    "DEMO_CONFIG", "GeneratorConfig", "LiveEvents", "World", "generate_events", "generate_live_events", "generate_neighbours", "make_world",
]  # fmt: skip
