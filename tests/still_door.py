"""The part that all stand-ins for the clients' socket share: no network, and nothing arrives."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from actors.language.messages import Connection
from cluster.wire import batches


class StillDoor:
    """A clients' socket on which nothing arrives or ends; a subclass says what `send` does."""

    look_ms: int | None = None

    def __init__(self) -> None:
        self.keys: dict[bytes, bytes] = {}
        self.batching: Container[Connection] = set[Connection]()

    def descriptors(self) -> list[int]:
        return []

    def must_drain(self) -> bool:
        return False

    def drain(self, items_max: int) -> list[Any]:
        return []

    def joined(self, frames: list[bytes]) -> list[bytes]:
        return batches(frames)

    def look(self) -> list[Any]:
        return []

    def address_of(self, name: bytes) -> str:
        return ""

    def unread(self, bytes_max: int) -> int:
        return 0

    def close(self) -> None:
        pass
