"""A snapshot that takes a store's place: it is read beside the running store, in portions.

It decides when a turn ends, whether the copy is of use, and what others must hear of it: the
entries between the two states are never applied here one by one, so Lease and Watch are told the
difference. The actor switches, as a whole, and the backend makes the file the store's own. Times
are milliseconds of the caller's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from actors.language.errors import StorageError
from actors.language.messages import LeaseFact, LeaseFacts, Skipped, SnapshotInstalled
from actors.store.machine import Machine
from actors.store.steps import Steps, portions, step
from actors.store.storage import Backend

INSTALL_SLICE_MS: Final = 3
INSTALL_STEPS_MAX: Final = 256
"""After 3 ms, or 256 steps, a turn ends: everything else on the node has its turn."""

AWAITED_COPY_MS: Final = 20
"""How soon to look again whether the copy of the old file, on which the end waits, is complete."""


class NewState(NamedTuple):
    """A copy that was read and checked, its state, and what Lease must hear of the difference."""

    copy: Backend
    machine: Machine
    lease_news: tuple[LeaseFacts, ...]


class Installer:
    """The snapshot that one store is about to install, and the old state that it frees."""

    def __init__(self, slice_steps_max: int = INSTALL_STEPS_MAX) -> None:
        self._slice_steps_max = slice_steps_max
        self._path = Path()
        self._reading: Steps[NewState | str] | None = None
        # What was read, while the end waits.
        self._read: NewState | str | None = None
        self._freeing: Steps[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a snapshot is under way: entries may not be applied."""
        return self._reading is not None or self._read is not None

    @property
    def path(self) -> Path:
        """Where the snapshot is that is, or was, under way."""
        return self._path

    def begin(self, machine: Machine, path: Path) -> None:
        """Begin to read the copy at `path`; until the end this machine does not change."""
        assert not self.is_busy, "one snapshot at a time"
        self._path, self._reading = path, read_snapshot(machine, path)

    def work(self, clock: Callable[[], int], *, is_copying: bool) -> NewState | str | None:
        """Do a slice; at the end what is to be switched to, or why the copy is of no use.

        `is_copying`: a copy of the present file is being made; the end waits for its end.
        """
        until_ms = clock() + INSTALL_SLICE_MS
        for _ in range(self._slice_steps_max):
            if self._reading is None:
                break
            self._read = step(self._reading)
            if self._read is not None:
                self._reading = None
            elif clock() >= until_ms:
                break
        if self._reading is not None or is_copying:
            return None
        read, self._read = self._read, None
        return read

    def free(self, old: Machine) -> None:
        """Free the state that was replaced, a portion at each `tidy`."""
        self._freeing = old.take_apart()

    def tidy(self, clock: Callable[[], int]) -> None:
        """Free a slice of what was replaced."""
        until_ms = clock() + INSTALL_SLICE_MS
        for _ in range(self._slice_steps_max if self._freeing is not None else 0):
            assert self._freeing is not None
            if next(self._freeing, self) is self:
                self._freeing = None
                break
            if clock() >= until_ms:
                break

    def next_wake_ms(self, now_ms: int) -> int | None:
        """When to go on; None if nothing is under way."""
        if self._reading is not None or self._freeing is not None:
            return now_ms
        return None if self._read is None else now_ms + AWAITED_COPY_MS

    def close(self) -> None:
        """Give up what is under way; the file stays, and the state is the old one."""
        if self._reading is not None:
            self._reading.close()
        if isinstance(self._read, NewState):
            self._read.copy.close()


def read_snapshot(machine: Machine, path: Path) -> Steps[NewState | str]:
    """Read and check the copy at `path`, which is to take the place of this machine's state."""
    try:
        copy = machine.backend.open_copy(path)
    except StorageError as error:
        return str(error)
    try:
        found = yield from machine.reopened(copy)
        if found.applied_index > machine.applied_index:
            return NewState(copy, found, (yield from lease_news(machine, found)))
        refusal = "it is no newer than the store"
    except StorageError as error:
        refusal = str(error)
    except BaseException:
        copy.close()
        raise
    copy.close()
    return refusal


def done(machine: Machine) -> SnapshotInstalled:
    """What Raft is told when a copy was looked at: the state that is the store's now."""
    return SnapshotInstalled(
        machine.applied_index, machine.applied_term, machine.cluster_ms, machine.membership
    )


def told(facts: Iterable[tuple[int, int]], cluster_ms: int) -> LeaseFacts:
    """What Lease is told of leases and their deadlines, 0 for those that are gone."""
    return LeaseFacts(tuple([LeaseFact(*fact) for fact in facts]), cluster_ms)


def leases_of(machine: Machine, gone: Iterable[int] = ()) -> Steps[tuple[LeaseFacts, ...]]:
    """Every lease that exists with its deadline, and those that are gone with deadline 0."""
    ended = ((lease_id, 0) for lease_id in gone)
    present = ((each.id, each.deadline_ms) for each in machine.leases.table.values())
    news: list[LeaseFacts] = []
    for facts in portions(chain(ended, present)):
        news.append(told(facts, machine.cluster_ms))
        yield
    return tuple(news)


def lease_news(old: Machine, new: Machine) -> Steps[tuple[LeaseFacts, ...]]:
    """What Lease must hear when a new state takes the place of the old one."""
    gone: list[int] = []
    for lease_ids in portions(old.leases.table):
        gone += [each for each in lease_ids if each not in new.leases.table]
        yield
    return (yield from leases_of(new, gone))


def watch_news(old: Machine, new: Machine) -> Skipped | None:
    """What Watch must hear if revisions lie between the two states: it then reads them."""
    return Skipped(new.revision) if new.revision > old.revision else None
