"""Snapshots between members, from Raft's side: taken by Store, sent, received, installed by Store.

It joins the courier and the receiver to the core and to the log on disk. To install a snapshot has
one safe order: note it in the WAL, replace the store, begin the WAL anew, answer the leader. It
returns the messages for Store and for the other members. Refuses to know what a snapshot holds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from actors.language.messages import InstallSnapshot, SnapshotInstalled, SnapshotTaken, TakeSnapshot
from actors.raft.core import RaftCore
from actors.raft.disk.courier import Snapshot, SnapshotCourier, SnapshotReceiver
from actors.raft.disk.files import Files
from actors.raft.log import LogStart
from actors.raft.membership import read
from actors.raft.rpc import Message, SnapshotAck, SnapshotChunk
from actors.raft.seams import Storage

TAKE_AGAIN_MS: Final = 1_000
"""After a copy failed, perhaps because the disk is full, the next one is tried this much later."""

ID_BITS: Final = 48

log = logging.getLogger("leasehold.raft")

Told = TakeSnapshot | InstallSnapshot | Message
"""A message to Store, or to another member."""


class Shipping:
    """At most one snapshot goes out, by the `courier`, and at most one comes in."""

    def __init__(
        self,
        core: RaftCore,
        storage: Storage,
        directory: Path,
        files: Files,
        random_bits: Callable[[int], int],
    ) -> None:
        self._core = core
        self._storage = storage
        self._files = files
        self._random_bits = random_bits
        self._outgoing = directory / "outgoing.snapshot"
        self.courier = SnapshotCourier(core.config.member_id, files, core.elector.facts)
        self._receiver = SnapshotReceiver(core.config.member_id, directory, files)
        self._taking = False
        self._take_again_ms = 0
        self._installing: SnapshotChunk | None = None
        self._arrived = 0

    @property
    def shipped(self) -> tuple[int, int]:
        """How many whole snapshots members have acknowledged, and how many have arrived here."""
        return self.courier.delivered, self._arrived

    # --- out ---

    def serve(self, behind: Sequence[int], now_ms: int) -> list[Told]:
        """Deliver a snapshot to exactly the members `behind`; returns the messages to send now."""
        for target in self.courier.serve(behind, now_ms):
            self._core.snapshot_failed(target)
        if not behind:
            return []
        snapshot = self.courier.snapshot
        # The log must go on where the snapshot ends, or its receiver needs another one at once.
        too_old = snapshot is not None and snapshot.index < self._core.replica.log.first_index - 1
        may_take = not self._taking and now_ms >= self._take_again_ms
        told: list[Told] = []
        if (snapshot is None or too_old) and may_take:
            self._taking = True
            told.append(TakeSnapshot(self._outgoing))
        return [*told, *self.courier.chunks(self._core.term, self._core.peers.streams(), now_ms)]

    def taken(self, message: SnapshotTaken, now_ms: int) -> None:
        """Store has made the copy; index 0: it could not."""
        self._taking = False
        if not message.index:
            self._take_again_ms = now_ms + TAKE_AGAIN_MS  # Store has said why
            return
        snapshot = Snapshot(
            id=self._random_bits(ID_BITS),
            path=message.path,
            index=message.index,
            term=message.term,
            total_bytes=self._files.size(message.path),
        )
        self.courier.load(snapshot)

    def acknowledged(self, message: SnapshotAck, now_ms: int) -> None:
        """A member says up to which offset it has the snapshot."""
        self.courier.acknowledged(message, now_ms)

    @property
    def keep_after(self) -> int | None:
        """The log after this index must stay, for the receivers of a snapshot; None: any may go."""
        snapshot = self.courier.snapshot
        if self._taking and snapshot is None:
            return 0  # the copy is being made, and its index is not known yet
        return None if snapshot is None else snapshot.index

    def next_wake_ms(self) -> int | None:
        """When a chunk may have to be sent again."""
        return self.courier.next_resend_ms()

    def refusal(self, message: SnapshotChunk | SnapshotAck) -> str:
        """Why a message must be ignored; nothing if it may be received."""
        if isinstance(message, SnapshotAck):
            return self.courier.refusal(message)
        # A chunk that is not needed here is no fault of its sender: it is only not taken.
        is_wanted = self._installing is None and message.last_index > self._core.replica.commit
        return self._receiver.refusal(message) if is_wanted else ""

    # --- in ---

    def received(self, chunk: SnapshotChunk) -> list[Told]:
        """Take a chunk from the leader; after the last one, tell Store to install the snapshot."""
        if self._installing is not None or self._core.leader != chunk.source:
            return []
        if chunk.last_index <= self._core.replica.commit:
            return []  # the log has caught up by itself
        ack, complete = self._receiver.take(chunk)
        told: list[Told] = []
        if complete is not None:
            log.info("installing a snapshot up to %d", chunk.last_index)
            self._installing = chunk
            self._arrived += 1
            # Store must get no entry from before the snapshot once it has installed that.
            hard_state, saved = self._core.expecting()
            # Noted first: after a crash the store may be ahead of the log, and that would otherwise
            # look like a log which has lost entries.
            expected = chunk.last_index, chunk.last_term
            self._storage.expect_snapshot(hard_state, expected, saved)
            told.append(InstallSnapshot(complete))
        return told if ack is None else [*told, ack]

    def installed(self, message: SnapshotInstalled) -> None:
        """Store holds the snapshot, or has kept its own state: then the leader will try again."""
        chunk, self._installing = self._installing, None
        assert chunk is not None, "a snapshot was installed that was never received"
        if message.index <= self._core.replica.handed_out:
            self._core.replica.resume()
            return
        membership = read(message.membership) or self._core.roster.latest
        start = LogStart(message.index, message.term, membership)
        hard_state, kept = self._core.restored(start, message.cluster_ms, chunk)
        # The log is replaced only after the store. After a crash in between, the note in the old
        # log explains why the store is ahead.
        self._storage.reset(hard_state, kept, start)

    def close(self) -> None:
        """Remove a snapshot that has arrived in part."""
        self._receiver.close()
