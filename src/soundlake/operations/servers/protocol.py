"""The interface of a local server for the code that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Server(Protocol):
    """One server program with its own folder and ports, all on 127.0.0.1; its data stay when it ends."""

    @property
    def name(self) -> str:
        """Its name in logs and in `soundlake status`."""

    @property
    def setting(self) -> str:
        """The setting that moves its ports."""

    @property
    def address(self) -> str:
        """Where clients connect; without credentials."""

    @property
    def ports(self) -> Mapping[str, int]:
        """Every port it listens on, by purpose."""

    @property
    def command(self) -> tuple[str, ...]:
        """The program and its arguments; without secrets, since other users can see them."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables added to the environment."""

    def prepare(self) -> None:
        """Write its configuration and, the first time, create its folder."""

    def is_ready(self) -> bool:
        """Whether it serves requests now."""

    def configure(self) -> None:
        """Steps after each start, once it is ready; idempotent."""
