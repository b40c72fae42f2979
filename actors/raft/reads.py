"""The linearizable reads that wait at this member, whoever leads (dissertation 6.4).

A read is open until the leader has named the index it needs, and ready once that index has been
handed out as committed. Knows nothing of queries or of how a leader confirms itself.
"""

from __future__ import annotations

from typing import NamedTuple


class ReadyRead(NamedTuple):
    """All that this read must see has been handed out as committed."""

    read_id: int
    cluster_ms: int


class LocalReads:
    """Ids only rise, and start at random: an answer to an earlier incarnation must not fit."""

    def __init__(self, first_id: int) -> None:
        self._last_id = first_id
        self._asked_ms: dict[int, int] = {}
        self._indexed: list[tuple[int, ReadyRead]] = []

    def open(self, now_ms: int) -> int:
        """A new read's id."""
        self._last_id += 1
        self._asked_ms[self._last_id] = now_ms
        return self._last_id

    def forget(self, read_id: int) -> None:
        """Nobody waits for this read any more."""
        self._asked_ms.pop(read_id, None)
        self._indexed = [pair for pair in self._indexed if pair[1].read_id != read_id]

    def open_ids(self) -> list[int]:
        """The reads for which no index is known, oldest first."""
        return list(self._asked_ms)

    def ask_again(self, asked_before_ms: int, now_ms: int) -> list[int]:
        """The open reads last asked for before a time; they count as asked for now."""
        due = [i for i, asked_ms in self._asked_ms.items() if asked_ms <= asked_before_ms]
        for read_id in due:
            self._asked_ms[read_id] = now_ms
        return due

    def oldest_asked_ms(self) -> int | None:
        """When the open read that was asked for longest ago was asked for."""
        return min(self._asked_ms.values(), default=None)

    def confirm(self, read_id: int, index: int, cluster_ms: int) -> None:
        """The leader says from which index on the read may be served. Duplicates do nothing."""
        if self._asked_ms.pop(read_id, None) is not None:
            self._indexed.append((index, ReadyRead(read_id, cluster_ms)))

    def take_ready(self, decided_index: int) -> tuple[ReadyRead, ...]:
        """Take the reads whose index has been handed out."""
        if not self._indexed:
            return ()
        ready = tuple(read for index, read in self._indexed if index <= decided_index)
        self._indexed = [pair for pair in self._indexed if pair[0] > decided_index]
        return ready
