"""Make events: a catalogue, listeners with tastes, their sittings, plays, skips, likes and playlists."""

from soundlake.generator.config import DEMO_CONFIG, GeneratorConfig
from soundlake.generator.live import LiveEvents, live_events
from soundlake.generator.neighbours import generate_neighbours
from soundlake.generator.world import World, generate_events, make_world

__all__ = ["DEMO_CONFIG", "GeneratorConfig", "LiveEvents", "World", "generate_events", "generate_neighbours", "live_events", "make_world"]
