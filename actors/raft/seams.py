"""Where consensus meets the world: the disk that keeps its promises, and the way to other members.

`raft.disk.wal` and `cluster.links` are behind these seams; in tests their twins in memory are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from actors.language.entries import Entry
from actors.language.metrics import Histogram
from actors.raft.log import LogStart
from actors.raft.rpc import HardState
from cluster.curve import KeyPair


class Storage(Protocol):
    """Where promises are kept (actors/raft/disk/wal.py)."""

    def write(self, hard_state: HardState, entries: Sequence[Entry], start: LogStart) -> None:
        """Write what the next `sync` makes durable; an error is final: no call may follow it."""

    def sync(self) -> None:
        """Return when everything written is durable. May run in another thread, and is not called
        beside any other method; errors as for `write`."""

    def has_room(self) -> bool:
        """Whether the disk has room for more than the entries that keep the cluster alive."""

    def cut(self, index: int) -> None:
        """Forget entries up to `index`: the store holds them durably."""

    def expect_snapshot(
        self, hard_state: HardState, expected: tuple[int, int], start: LogStart
    ) -> None:
        """Note, durably, that the store may soon hold all up to an (index, term) of `expected`,
        and with it the hard state, whose term is no earlier."""

    def reset(self, hard_state: HardState, entries: Sequence[Entry], start: LogStart) -> None:
        """Begin anew: the store holds everything up to `start`, and only these entries follow."""

    def close(self) -> None:
        """Close the files."""


class Waits(Protocol):
    """Where the end of a sync is waited for (actors/runtime/disk.py)."""

    durations: Histogram

    @property
    def is_busy(self) -> bool:
        """Whether work is under way, or nobody has taken note of its end yet."""

    def run(self, work: Callable[[], None], done: Callable[[], None]) -> bool:
        """Do work: True if it is done; else `done` is called at its end, in any thread."""

    def end(self) -> None:
        """Take note of the end of the work; raises what it has raised."""

    def close(self) -> None:
        """Wait for what is under way."""


class Locks(Protocol):
    """The keys at the way to the other members, where members have keys (actors/member_keys.py)."""

    def admit(self, keys: Collection[str]) -> None:
        """Let in whoever has one of these keys, and nobody else."""

    def serve(self, pair: KeyPair) -> None:
        """Be reached under this pair from now on; connections under another one end."""

    def use(self, pairs: Sequence[KeyPair], keys: Mapping[int, Sequence[str]]) -> None:
        """Reach members with these pairs; they are reached under these keys, the newest last."""


class Links(Protocol):
    """The way to the other members (cluster/links.py); delivery is not promised."""

    def update(self, urls: dict[int, str]) -> None:
        """Be connected to exactly these members."""

    def send(self, member_id: int, frame: bytes) -> bool:
        """Send without waiting; False when the frame was dropped."""

    def close(self) -> None:
        """Close every link."""
