"""Copies of a store's file, one at a time: for clients, and one that takes the file's place.

It decides when a copy is made, for whom, and what they are answered. The backend makes a copy, and
the spool keeps it. Copies for members that are far behind are not its own: Raft asks for those.
"""

from __future__ import annotations

from typing import Final

from actors.language.errors import StorageError
from actors.language.messages import CopyMade, ReadSnapshot, Ticket
from actors.language.results import Done, Failure, Result, SnapshotBlob
from actors.store.machine import Machine
from actors.store.orders import CopyForClients, Order, WriteAnew, answer
from actors.store.pace import earliest
from actors.store.storage import Spool, SpoolPart

COPIES_WAITING_MAX: Final = 64
"""How many clients may wait for the next copy, and how many for a defragmentation."""

LOOK_AGAIN_MS: Final = 100
"""How soon to look again if another copy is being made, or outdated changes are being swept."""

SWEEP_MS_MAX: Final = 10_000
"""How long a defragmentation waits until what a compaction has outdated is swept away."""

# What clients are answered when too many wait, and when a copy could not be made.
BUSY: Final = Failure("TooManyRequests")
FAILED: Final = Failure("CopyFailed")


class Copies:
    """The copies of one store; without a spool no client gets one."""

    def __init__(self, spool: Spool | None) -> None:
        self._spool = spool
        # Clients that wait for the next copy, and clients that get the one being made.
        self._waiting: list[Ticket] = []
        self._served: list[Ticket] = []
        # Clients that wait for a defragmentation.
        self._defragmenting: list[Ticket] = []
        # Since when a defragmentation waits to be begun; None if none does.
        self._sweeping_since_ms: int | None = None
        self._look_at_ms: int | None = None

    def tick(self, machine: Machine, now_ms: int, *, is_copying: bool) -> list[Order]:
        """Do what is due; `is_copying`: a copy is being made, another must wait."""
        if self._spool is not None:
            self._spool.end_idle(now_ms)
        if self._look_at_ms is None or now_ms < self._look_at_ms:
            return []
        self._look_at_ms = None
        # Only one copy at a time: a defragmentation that begins now makes clients' copies wait.
        orders = self._write_anew(machine, now_ms, is_copying)
        return [*orders, *self._copy(now_ms, is_copying or bool(orders))]

    def next_wake_ms(self) -> int | None:
        """When something is due."""
        if self._spool is None:
            return self._look_at_ms
        return earliest(self._spool.next_end_ms(), self._look_at_ms)

    # --- for clients ---

    def asked(
        self, asked: ReadSnapshot, revision: int, now_ms: int, *, is_copying: bool
    ) -> list[Order]:
        """A client asks for a part of the copy with a name, or for a new copy without one."""
        ticket, name, offset, _ = asked
        if self._spool is None:
            return answer([ticket], FAILED)
        if name:
            return answer([ticket], _blob(self._spool.read(name, offset, now_ms), revision))
        if len(self._waiting) >= COPIES_WAITING_MAX:
            return answer([ticket], BUSY)
        self._waiting.append(ticket)
        return self._copy(now_ms, is_copying)

    def made(self, made: CopyMade, revision: int, now_ms: int, *, is_copying: bool) -> list[Order]:
        """A copy for clients is complete, or could not be made: then it has 0 bytes."""
        assert self._spool is not None, "a copy is made in the spool"
        served, self._served = self._served, []
        result: Result = FAILED
        if made.total_bytes:
            name = self._spool.keep(made.path, made.total_bytes, made.sha256, now_ms)
            result = _blob(self._spool.read(name, 0, now_ms), revision)
        else:
            self._spool.discard(made.path)
        return [*answer(served, result), *self._copy(now_ms, is_copying)]

    def _copy(self, now_ms: int, is_copying: bool) -> list[Order]:
        """Make one copy for all that wait.

        A client that asks while a copy is being made waits for the next one: only that has what was
        acknowledged before the client asked.
        """
        if not self._waiting or self._served or self._spool is None:
            return []
        if is_copying:
            self._look_at_ms = now_ms + LOOK_AGAIN_MS
            return []
        waiting, self._waiting = self._waiting, []
        path = self._spool.make_room()
        if path is None:
            return answer(waiting, BUSY)
        self._served = waiting
        return [CopyForClients(path)]

    # --- in the file's place ---

    def defragment(
        self, ticket: Ticket, machine: Machine, now_ms: int, *, is_copying: bool
    ) -> list[Order]:
        """Write the file anew without its unused pages; requests meanwhile share the answer."""
        if len(self._defragmenting) >= COPIES_WAITING_MAX:
            return answer([ticket], BUSY)
        self._defragmenting.append(ticket)
        if len(self._defragmenting) > 1:
            return []
        self._sweeping_since_ms = now_ms
        machine.sweeper.hurry()
        return self._write_anew(machine, now_ms, is_copying)

    def _write_anew(self, machine: Machine, now_ms: int, is_copying: bool) -> list[Order]:
        """Begin, once the outdated changes are swept away, or after SWEEP_MS_MAX without that."""
        since_ms = self._sweeping_since_ms
        if since_ms is None:
            return []
        is_swept = not machine.sweeper.is_due or now_ms - since_ms >= SWEEP_MS_MAX
        if not is_swept or is_copying:
            self._look_at_ms = now_ms + LOOK_AGAIN_MS
            return []
        self._sweeping_since_ms = None
        return [WriteAnew()]

    def changed_over(self, error: StorageError | None, revision: int) -> list[Order]:
        """The new file has taken the old one's place, or an error says why it could not."""
        waiting, self._defragmenting = self._defragmenting, []
        return answer(waiting, Done(revision) if error is None else FAILED)


def _blob(part: SpoolPart | None, revision: int) -> Result:
    return Failure("SnapshotNotFound") if part is None else SnapshotBlob(revision, *part)
