"""The listeners, apps and developers that the fake knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from soundlake.spotify.fake.timeline import Timeline

_LOOPBACK_HOSTS = ("127.0.0.1", "::1")
DEFAULT_REDIRECT_URI = "http://127.0.0.1:8888/callback"


@dataclass(slots=True)
class FakeApp:
    """A developer's app in development mode. Null limits are none.

    `allow_list` names the accounts that may use it; null allows all. `calls_per_window` are calls in a rolling 30 seconds.
    `rotates_refresh_tokens` is the habit of before summer 2026: each refresh gives a new refresh token and ends the old one.
    """

    client_id: str = "fa4e0000000000000000000000000001"
    client_secret: str = "fa4e5ec2e7000000000000000000000001"  # noqa: S105  # of the fake
    redirect_uris: list[str] = field(default_factory=lambda: [DEFAULT_REDIRECT_URI])
    developer: str = "developer-1"
    allow_list: set[str] | None = None
    owner_has_premium: bool = True
    rotates_refresh_tokens: bool = False
    calls_per_window: int | None = None

    def accepts_redirect(self, uri: str) -> bool:
        """Whether the app has registered this address; a loopback address without a port is registered for every port."""
        if uri in self.redirect_uris:
            return True
        parts = urlsplit(uri)
        without_port = parts._replace(netloc=parts.netloc.rpartition(":")[0]).geturl()
        return parts.hostname in _LOOPBACK_HOSTS and without_port in self.redirect_uris


@dataclass(slots=True)
class FakeAccount:
    """A listener's account; `user_id` is the name in addresses, `account_id` the one to link by."""

    timeline: Timeline
    display_name: str | None = None

    @property
    def user_id(self) -> str:
        """The user name."""
        return self.timeline.account

    @property
    def account_id(self) -> str:
        """The id that does not change."""
        return f"acc-{self.user_id}"


def explain_insecure_redirect(uri: str) -> str | None:
    """Why Spotify would refuse this redirect address (its rules since April 2025), or None: https, or a loopback address as a number."""
    try:
        parts = urlsplit(uri)
    except ValueError:  # half an IPv6 address
        return "INVALID_CLIENT: Invalid redirect URI"
    is_secure = parts.scheme == "https" and parts.hostname not in (None, "localhost")
    is_loopback = parts.scheme == "http" and parts.hostname in _LOOPBACK_HOSTS
    return None if is_secure or is_loopback else "INVALID_CLIENT: Insecure redirect URI"
