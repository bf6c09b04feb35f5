"""A fake Spotify that ships with the project: sign-in, the Web API's calls, and listeners who are scripted or simulated."""

from soundlake.spotify.fake.accounts import DEFAULT_REDIRECT_URI, FakeAccount, FakeApp
from soundlake.spotify.fake.asgi import make_app
from soundlake.spotify.fake.catalogue import FakeTrack
from soundlake.spotify.fake.clock import AdjustableClock, VirtualTimeLoop, run_in_virtual_time
from soundlake.spotify.fake.faults import Fault
from soundlake.spotify.fake.habits import Habits
from soundlake.spotify.fake.messages import Answer, Request
from soundlake.spotify.fake.scripted import list_raw_answers, make_track, write_timeline
from soundlake.spotify.fake.service import FakeSpotify
from soundlake.spotify.fake.simulated import SimulatedListeners
from soundlake.spotify.fake.timeline import FakeDevice, Listing, PlayerMode, Segment, Timeline, TruePlay
from soundlake.spotify.fake.transport import FakeTransport

__all__ = [
    "DEFAULT_REDIRECT_URI",
    "AdjustableClock",
    "Answer",
    "FakeAccount",
    "FakeApp",
    "FakeDevice",
    "FakeSpotify",
    "FakeTrack",
    "FakeTransport",
    "Fault",
    "Habits",
    "Listing",
    "PlayerMode",
    "Request",
    "Segment",
    "SimulatedListeners",
    "Timeline",
    "TruePlay",
    "VirtualTimeLoop",
    "list_raw_answers",
    "make_app",
    "make_track",
    "run_in_virtual_time",
    "write_timeline",
]
