"""A clients' socket without a network, whose clients are slow or gone when a test says so."""

from __future__ import annotations

from typing import Any

from actors.language.messages import Connection
from cluster.wire import unpack
from tests.still_door import StillDoor


class FakeDoor(StillDoor):
    """Keeps what is sent; `full` connections take nothing just now, `gone` ones never again."""

    def __init__(self) -> None:
        super().__init__()
        self.batching: set[Connection] = set()
        self.sent: list[tuple[Connection, bytes]] = []
        self.full: set[Connection] = set()
        self.gone: set[Connection] = set()
        self.closed = False
        self.unread_bytes = 0
        self.news: list[Any] = []

    def send(self, route: Connection, payload: bytes) -> bool | None:
        if route in self.gone:
            return None
        if route in self.full:
            return False
        self.sent.append((route, payload))
        return True

    def look(self) -> list[Any]:
        news, self.news = self.news, []
        return news

    def address_of(self, name: bytes) -> str:
        return f"address of {name[1:].decode()}"

    def unread(self, bytes_max: int) -> int:
        return self.unread_bytes

    def close(self) -> None:
        self.closed = True

    def frames(self, connection: Connection) -> list[bytes]:
        """Take what was sent to one connection."""
        frames = [frame for route, frame in self.sent if route == connection]
        self.sent = [item for item in self.sent if item[0] != connection]
        return frames

    def replies(self, connection: Connection) -> list[Any]:
        """Take what was sent to one connection, decoded."""
        return [unpack(frame) for frame in self.frames(connection)]
