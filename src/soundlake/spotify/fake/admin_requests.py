"""What admin calls take, validated."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from soundlake.spotify.fake.clock import to_ms
from soundlake.spotify.fake.faults import Fault
from soundlake.spotify.fake.scripted import list_raw_answers, write_timeline
from soundlake.spotify.fake.timeline import PlayerMode, Timeline


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ClockChange(_Order):
    """Set the clock to `now`, move it by `advance_s`, let it run `speed` times as fast as real time."""

    now: AwareDatetime | None = None
    advance_s: float = 0.0
    speed: Annotated[float, Field(gt=0, le=1_000_000)] | None = None


class FaultOrder(_Order):
    """A fault: its kind and details, and which requests it meets; `seconds` is a span from now on, in place of `until`."""

    kind: str
    accounts: frozenset[str] = frozenset()
    apps: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()
    count: Annotated[int, Field(ge=1)] | None = None
    starts: AwareDatetime | None = None
    until: AwareDatetime | None = None
    seconds: Annotated[float, Field(gt=0)] | None = None
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: int = 0
    details: dict[str, Any] = Field(default_factory=dict)

    def make_fault(self, now_ms: int) -> Fault:
        """The fault. Raises UsageError for an unknown kind."""
        starts_ms = None if self.starts is None else to_ms(self.starts)
        until_ms = None if self.until is None else to_ms(self.until)
        if self.seconds is not None:
            until_ms = (now_ms if starts_ms is None else starts_ms) + round(self.seconds * 1_000)
        return Fault(
            self.kind, self.accounts, self.apps, self.paths, self.count, starts_ms, until_ms, self.share, self.seed, self.details
        )  # fmt: skip


class AppChange(_Order):
    """Members of an app to set; `calls_per_day` is the quota of its developer."""

    client_secret: str = ""
    redirect_uris: list[str] = Field(default_factory=list)
    developer: str = ""
    allow_list: set[str] | None = None
    owner_has_premium: bool = True
    rotates_refresh_tokens: bool = False
    calls_per_window: Annotated[int, Field(ge=1)] | None = None
    calls_per_day: Annotated[int, Field(ge=1)] | None = None


class ScriptedAccount(_Order):
    """An account with a time line in the form of a listening case; `t0` is now where it is not given."""

    tracks: dict[str, int]
    states: list[dict[str, Any]]
    recent: list[tuple[str, float]] | None = None
    t0: AwareDatetime | None = None
    repeat_state: Literal["off", "track", "context"] = "off"

    def write_timeline(self, account: str, now: datetime) -> Timeline:
        """The account's time line. Raises ValueError for states that overlap or are of an unknown kind, KeyError for an unknown track."""
        mode = PlayerMode(repeat=self.repeat_state)
        return write_timeline(account, to_ms(self.t0 or now), self.tracks, self.states, recent=self.recent, mode=mode)

    def list_raw_answers(self, account: str, now: datetime) -> Iterator[Fault]:
        """The odd answers of its `raw` states."""
        return list_raw_answers(account, to_ms(self.t0 or now), self.states)
