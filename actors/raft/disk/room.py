"""Room: a member refuses writes before its disk is full, and takes them again when there is room.

Refuses to know what is written.
"""

from __future__ import annotations

import logging
from typing import Final

from actors.raft.core import RaftCore
from actors.raft.seams import Storage

LOOK_EVERY_MS: Final = 1_000

log = logging.getLogger("leasehold.raft")


class RoomWatch:
    """Looks whether the storage has room, and lets the core know; `due_ms` is when to look next."""

    def __init__(self, core: RaftCore, storage: Storage) -> None:
        self._core = core
        self._storage = storage
        self.due_ms = 0

    def look(self, now_ms: int) -> None:
        """Look now."""
        self.due_ms = now_ms + LOOK_EVERY_MS
        is_full = not self._storage.has_room()
        if is_full != self._core.is_full:
            log.warning("the disk %s", "is nearly full: refusing writes" if is_full else "has room")
            self._core.is_full = is_full
