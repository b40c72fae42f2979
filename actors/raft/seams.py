"""Where consensus meets the world: the disk that keeps its promises, and the way to other members.

`raft.disk.wal` and `cluster.links` are behind these seams; in tests their twins in memory are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from actors.language.entries import Entry
from actors.raft.log import LogStart
from actors.raft.rpc import HardState


class Storage(Protocol):
    """Where promises are kept (actors/raft/disk/wal.py)."""

    def save(self, hard_state: HardState, entries: Sequence[Entry], start: LogStart) -> None:
        """Return when everything is durable; an error is final, and no call may follow it."""

    def has_room(self) -> bool:
        """Whether the disk has room for more than the entries that keep the cluster alive."""

    def cut(self, index: int) -> None:
        """Forget entries up to `index`: the store holds them durably."""

    def expect_snapshot(self, index: int, term: int, start: LogStart) -> None:
        """Note, durably, that the store may soon hold entries up to `index` that the log lacks."""

    def reset(self, hard_state: HardState, entries: Sequence[Entry], start: LogStart) -> None:
        """Begin anew: the store holds everything up to `start`, and only these entries follow."""

    def close(self) -> None:
        """Close the files."""


class Links(Protocol):
    """The way to the other members (cluster/links.py); delivery is not promised."""

    def update(self, urls: dict[int, str]) -> None:
        """Be connected to exactly these members."""

    def send(self, member_id: int, frame: bytes) -> bool:
        """Send without waiting; False when the frame was dropped."""

    def close(self) -> None:
        """Close every link."""
