"""Registry: where a client's sockets are watched for news; each shell has its own."""

from __future__ import annotations

from typing import Any, Protocol


class Registry(Protocol):
    """Where the sockets are registered that are to be watched for what can be read."""

    def register(self, source: Any, flags: int) -> None:
        """Watch a ZeroMQ socket, or a file descriptor."""

    def unregister(self, source: Any) -> None:
        """Watch it no more."""
