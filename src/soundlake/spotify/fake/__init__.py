"""A fake Spotify that ships with the project: sign-in, the Web API's calls, and listeners who are scripted or simulated."""

from soundlake.spotify.fake.accounts import DEFAULT_REDIRECT_URI, FakeAccount, FakeApp
from soundlake.spotify.fake.catalogue import FakeTrack
from soundlake.spotify.fake.clock import AdjustableClock, VirtualTimeLoop, run_in_virtual_time
from soundlake.spotify.fake.messages import Answer, Request
from soundlake.spotify.fake.scripted import make_track, write_timeline
from soundlake.spotify.fake.service import FakeSpotify
from soundlake.spotify.fake.timeline import FakeDevice, Listing, PlayerMode, Segment, Timeline, TruePlay
from soundlake.spotify.fake.transport import FakeTransport

__all__ = [
    "DEFAULT_REDIRECT_URI", "AdjustableClock", "Answer", "FakeAccount", "FakeApp", "FakeDevice", "FakeSpotify", "FakeTrack", "FakeTransport",
    "Listing", "PlayerMode", "Request", "Segment", "Timeline", "TruePlay", "VirtualTimeLoop", "make_track", "run_in_virtual_time",
    "write_timeline",
]  # fmt: skip
