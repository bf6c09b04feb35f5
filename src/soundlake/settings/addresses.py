"""One address of a deployment, parsed once into a typed value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from soundlake.errors import SettingsError

_CREDENTIAL_SETTINGS = {
    "kafka": "SOUNDLAKE_KAFKA_USERNAME and SOUNDLAKE_KAFKA_PASSWORD",
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
}
"""Where the credentials of a scheme belong: addresses are shown to users, so they hold none."""

_CREDENTIALS = re.compile(r"^([a-z][a-z0-9+.-]*://)?.*@", re.IGNORECASE | re.DOTALL)
_INVALID_PORT = re.compile(r":(?!//|\d+(?:[,/]|$))[^,/]*")


@dataclass(frozen=True)
class Address:
    """What kind of system, and where. `path` is set for local schemes, `host` and `port` for servers and buckets."""

    url: str
    scheme: str
    path: Path | None = None
    host: str = ""
    port: int | None = None


def parse_address(setting: str, url: str, schemes: tuple[str, ...]) -> Address:
    """Parse and check one address. Raises SettingsError that names the setting and what is allowed, and shows no user name or password."""
    name = f"SOUNDLAKE_{setting.upper()}"
    shown = name + _redact(url)
    try:
        parts = urlsplit(url)
    except ValueError:  # not chained, here and below: the cause repeats the input
        raise SettingsError(f"{name}: not an address", next_step=f"write {schemes[-1]}://host:port") from None
    if parts.scheme not in schemes:
        allowed = ", ".join(f"{scheme}://" for scheme in schemes)
        raise SettingsError(f"{shown}: not an address of a {setting}", next_step=f"begin it with one of {allowed}")
    if parts.scheme in ("sqlite", "file", "duckdb"):
        if parts.netloc or not parts.path.startswith("/"):
            raise SettingsError(f"{shown}: a local address needs an absolute path", next_step=f"write {parts.scheme}:///absolute/path")
        return Address(url, parts.scheme, path=Path(parts.path))
    if parts.scheme in _CREDENTIAL_SETTINGS and "@" in (url if parts.scheme == "kafka" else parts.netloc):
        raise SettingsError(
            f"{shown}: a user name and a password do not belong in this address", next_step=f"set {_CREDENTIAL_SETTINGS[parts.scheme]}"
        )
    if parts.scheme == "kafka":
        parts = urlsplit(f"kafka://{parts.netloc.partition(',')[0]}")  # further servers of the cluster may follow
    try:
        port = parts.port
    except ValueError:
        raise SettingsError(f"{name}: the port is not a number", next_step=f"write {parts.scheme}://host:port") from None
    if parts.scheme != "memory" and not parts.hostname:
        raise SettingsError(f"{name}: no host or bucket", next_step=f"write {parts.scheme}://host-or-bucket")
    return Address(url, parts.scheme, host=parts.hostname or "", port=port)


def _redact(url: str) -> str:
    """`=url` for an error message. Hides what may be secret: before an @, after a ?, in place of a port."""
    shown = _INVALID_PORT.sub(":***", _CREDENTIALS.sub(r"\1***@", url).partition("?")[0])
    return f"={shown}" if "://" in url or "@" in url else ""
