"""The linearizable reads that wait at this member, as leader or follower (dissertation 6.4).

A read is open until the leader has named the index it needs, and ready once that index has been
handed out as committed. Refuses to know what is read, and how a leader confirms that it leads.
"""

from __future__ import annotations

from typing import NamedTuple


class ReadyRead(NamedTuple):
    """A read for which all entries that it must see have been handed out as committed."""

    read_id: int
    cluster_ms: int


class LocalReads:
    """Read ids rise from a random one, so an answer to this member's earlier process fits none.

    `asked_ms` is when the leader was last asked for each open read, and `indexed` are the reads for
    which the index is known that they need.
    """

    def __init__(self, first_id: int) -> None:
        self._last_id = first_id
        self.asked_ms: dict[int, int] = {}
        self.indexed: list[tuple[int, ReadyRead]] = []

    def open(self, now_ms: int) -> int:
        """Open a read; returns its id."""
        self._last_id += 1
        self.asked_ms[self._last_id] = now_ms
        return self._last_id

    def forget(self, read_id: int) -> None:
        """Forget a read for which no client waits any more."""
        self.asked_ms.pop(read_id, None)
        self.indexed = [pair for pair in self.indexed if pair[1].read_id != read_id]

    def open_ids(self) -> list[int]:
        """The reads for which no index is known, oldest first."""
        return list(self.asked_ms)

    def ask_again(self, asked_before_ms: int, now_ms: int) -> list[int]:
        """The open reads for which the leader was last asked by a time; they count as asked now."""
        if not self.asked_ms:
            return []
        due = [i for i, asked_ms in self.asked_ms.items() if asked_ms <= asked_before_ms]
        for read_id in due:
            self.asked_ms[read_id] = now_ms
        return due

    def oldest_asked_ms(self) -> int | None:
        """When the leader was asked for the open read that waits longest; None: none is open."""
        return min(self.asked_ms.values()) if self.asked_ms else None

    def confirm(self, read_id: int, index: int, cluster_ms: int) -> None:
        """The leader says from which index on the read may be served. Duplicates do nothing."""
        if self.asked_ms.pop(read_id, None) is not None:
            self.indexed.append((index, ReadyRead(read_id, cluster_ms)))

    def take_ready(self, decided_index: int) -> tuple[ReadyRead, ...]:
        """Take the reads whose index has been handed out."""
        if not self.indexed:
            return ()
        ready = tuple(read for index, read in self.indexed if index <= decided_index)
        self.indexed = [pair for pair in self.indexed if pair[0] > decided_index]
        return ready
