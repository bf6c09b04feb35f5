"""What a local server is to those who start it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Server(Protocol):
    """One server program with its own folder and ports, all on 127.0.0.1; it keeps its data when it ends."""

    @property
    def name(self) -> str:
        """What it is called in logs and in `soundlake status`."""

    @property
    def setting(self) -> str:
        """The setting that moves its ports."""

    @property
    def ports(self) -> Mapping[str, int]:
        """Every port it listens on, by purpose."""

    @property
    def command(self) -> tuple[str, ...]:
        """The program and its arguments; no secret is among them."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What is added to the environment."""

    def prepare(self) -> None:
        """Write its configuration and, the first time, lay out its folder."""

    def is_ready(self) -> bool:
        """Whether it takes requests now."""

    def configure(self) -> None:
        """What has to be done once it answers; harmless to repeat."""
