"""Brings snapshots to members that need entries the log no longer holds (Raft 7).

`SnapshotCourier` sends chunks, on the leader; `SnapshotReceiver` gathers them, on the other side.
Each chunk has a checksum and is acknowledged, so a lost one is sent again. Both only say what is to
be sent. Refuses to know what a snapshot holds, and which member needs one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from actors.language.errors import StorageError
from actors.raft.disk.files import Files
from actors.raft.facts import FactBook, SnapshotGivenUp, SnapshotSent
from actors.raft.rpc import SnapshotAck, SnapshotChunk

CHUNK_BYTES: Final = 256 * 1024
CHUNKS_UNDER_WAY_MAX: Final = 8
PROGRESS_STEPS: Final = 20
SYNC_BYTES: Final = 1024 * 1024
"""The receiver syncs each time 1 MiB has arrived: nothing waits long for any of these syncs."""

SNAPSHOT_BYTES_MAX: Final = 1 << 44
"""16 TiB. A chunk of a larger snapshot is refused: no store is that large."""

TOO_LARGE: Final = "it is of a snapshot that is larger than any may be"
NO_ROOM: Final = "the disk has no room for its snapshot"
NOT_IN_IT: Final = "it is about bytes that are not in its snapshot"

RESEND_MS: Final = 200
"""Without an acknowledgement for this time, everything after the last one is sent again."""

GIVE_UP_MS: Final = 10_000
"""A member that acknowledges nothing for this time is given up."""


class Snapshot(NamedTuple):
    """A complete copy of the store on this member's disk; its random id names it to receivers."""

    id: int
    path: Path
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    term: int
    total_bytes: int


class _Delivery:
    """Up to which offset the snapshot was sent to one member, and acknowledged by it."""

    __slots__ = ("acked", "heard_ms", "sent", "sent_ms", "step")

    def __init__(self, now_ms: int) -> None:
        self.acked = 0
        self.sent = 0
        self.sent_ms = now_ms
        self.heard_ms = now_ms
        # The step of its progress that was noted last.
        self.step = -1


class SnapshotCourier:
    """Delivers one snapshot at a time, to any number of members.

    `snapshot` is the one that is being delivered; the log after it must be kept meanwhile. `facts`
    get its progress.
    """

    def __init__(self, own_id: int, files: Files, facts: FactBook) -> None:
        self._own_id = own_id
        self._files = files
        self._facts = facts
        self.snapshot: Snapshot | None = None
        # How many members have acknowledged a whole snapshot.
        self.delivered = 0
        self._deliveries: dict[int, _Delivery] = {}

    def load(self, snapshot: Snapshot) -> None:
        """Deliver this snapshot from now on, to each member from its start."""
        self.drop()
        self.snapshot = snapshot

    def serve(self, targets: Iterable[int], now_ms: int) -> list[int]:
        """Deliver to exactly these members; returns those that were given up."""
        wanted = set(targets)
        for gone in self._deliveries.keys() - wanted:
            del self._deliveries[gone]
        if self.snapshot is not None:
            for target in wanted - self._deliveries.keys():
                delivery = self._deliveries[target] = _Delivery(now_ms)
                self._note_progress(target, delivery, self.snapshot.total_bytes)
        silent = [t for t, d in self._deliveries.items() if now_ms - d.heard_ms > GIVE_UP_MS]
        for target in silent:
            del self._deliveries[target]
            self._facts.note(SnapshotGivenUp(target))
        if not wanted:
            self.drop()
        return silent

    def refusal(self, message: SnapshotAck) -> str:
        """Why an acknowledgement must be ignored; nothing if it may be true."""
        snapshot = self.snapshot
        if snapshot is None or message.snapshot_id != snapshot.id:
            return ""  # late: it is about an earlier snapshot
        return NOT_IN_IT if message.next_offset > snapshot.total_bytes else ""

    def acknowledged(self, message: SnapshotAck, now_ms: int) -> None:
        """A member has everything before `next_offset`."""
        delivery = self._deliveries.get(message.source)
        snapshot = self.snapshot
        if delivery is None or snapshot is None or message.snapshot_id != snapshot.id:
            return
        delivery.heard_ms = now_ms
        if message.next_offset < delivery.acked:
            delivery.sent = message.next_offset  # the receiver has restarted from the beginning
        total_bytes = snapshot.total_bytes
        self.delivered += delivery.acked < total_bytes == message.next_offset
        delivery.acked = message.next_offset
        self._note_progress(message.source, delivery, total_bytes)
        delivery.sent = max(delivery.sent, delivery.acked)

    def _note_progress(self, target: int, delivery: _Delivery, total_bytes: int) -> None:
        step = delivery.acked * PROGRESS_STEPS // max(1, total_bytes)
        if step != delivery.step:
            delivery.step = step
            self._facts.note(SnapshotSent(target, delivery.acked, total_bytes))

    def chunks(self, term: int, streams: dict[int, int], now_ms: int) -> list[SnapshotChunk]:
        """What to send now; `streams` has the number of each member's stream."""
        chunks: list[SnapshotChunk] = []
        if self.snapshot is None:
            return chunks
        for target, delivery in self._deliveries.items():
            # The receiver takes chunks in order only. After a loss it needs all of them again.
            if delivery.sent > delivery.acked and now_ms - delivery.sent_ms > RESEND_MS:
                delivery.sent = delivery.acked
            window = delivery.acked + CHUNKS_UNDER_WAY_MAX * CHUNK_BYTES
            while delivery.sent < min(window, self.snapshot.total_bytes):
                chunk = self._chunk(self.snapshot, target, term, streams[target], delivery.sent)
                delivery.sent += len(chunk.data)
                delivery.sent_ms = now_ms
                chunks.append(chunk)
        return chunks

    def next_resend_ms(self) -> int | None:
        """When chunks may have to be sent again; None: nothing is being delivered."""
        return min((d.sent_ms + RESEND_MS + 1 for d in self._deliveries.values()), default=None)

    def drop(self) -> None:
        """Remove the snapshot: no member needs it any more."""
        if self.snapshot is not None:
            self._files.discard(self.snapshot.path)
        self.snapshot = None
        self._deliveries.clear()

    def _chunk(
        self, snapshot: Snapshot, target: int, term: int, stream: int, offset: int
    ) -> SnapshotChunk:
        data = self._files.read_part(snapshot.path, offset, CHUNK_BYTES)
        if not data:
            raise StorageError(f"{snapshot.path} has become shorter while it was sent")
        return SnapshotChunk(
            source=self._own_id,
            target=target,
            term=term,
            stream=stream,
            snapshot_id=snapshot.id,
            last_index=snapshot.index,
            last_term=snapshot.term,
            total_bytes=snapshot.total_bytes,
            offset=offset,
            checksum=zlib.crc32(data),
            data=data,
        )


class SnapshotReceiver:
    """Gathers one snapshot, in order, into a file that counts only when it is whole and synced."""

    def __init__(self, own_id: int, directory: Path, files: Files) -> None:
        self._own_id = own_id
        self._path = directory / "incoming.snapshot"
        self._files = files
        self._file = -1
        self._snapshot_id = 0
        self._total_bytes = 0
        self._next_offset = 0
        self._unsynced_bytes = 0

    def refusal(self, chunk: SnapshotChunk) -> str:
        """Why a chunk must be ignored; nothing if it may be taken."""
        if chunk.total_bytes > SNAPSHOT_BYTES_MAX:
            return TOO_LARGE
        if chunk.offset + len(chunk.data) > chunk.total_bytes:
            return NOT_IN_IT
        if chunk.snapshot_id == self._snapshot_id:
            return "" if chunk.total_bytes == self._total_bytes else NOT_IN_IT
        # An unfinished file of another snapshot will be removed, which frees its room.
        kept = self._total_bytes if self._file >= 0 else 0
        room = self._files.free_bytes(self._path.parent) + kept
        return "" if chunk.total_bytes <= room else NO_ROOM

    def take(self, chunk: SnapshotChunk) -> tuple[SnapshotAck, Path | None]:
        """Take a chunk: the answer, and the file if that is now complete and durable."""
        if chunk.snapshot_id != self._snapshot_id:
            self._begin(chunk)
        complete = None
        # Any other chunk changes nothing: the answer names the offset that is wanted next, and the
        # leader sends from there again.
        if chunk.offset == self._next_offset and zlib.crc32(chunk.data) == chunk.checksum:
            complete = self._write(chunk)
        ack = SnapshotAck(
            self._own_id, chunk.source, chunk.term, chunk.snapshot_id, self._next_offset
        )
        return ack, complete

    def close(self) -> None:
        """Remove what has arrived of a snapshot that is not complete."""
        if self._file >= 0:
            self._files.close(self._file)
            self._file = -1
            self._files.remove(self._path)
        self._snapshot_id = 0

    def _begin(self, chunk: SnapshotChunk) -> None:
        self.close()
        self._file = self._files.create(self._path, chunk.total_bytes)
        self._snapshot_id = chunk.snapshot_id
        self._total_bytes = chunk.total_bytes
        self._next_offset = self._unsynced_bytes = 0

    def _write(self, chunk: SnapshotChunk) -> Path | None:
        if self._file < 0:
            return None  # the file is complete, and this chunk is an empty one behind its end
        self._files.write(self._file, chunk.data, chunk.offset)
        self._next_offset += len(chunk.data)
        self._unsynced_bytes += len(chunk.data)
        is_last = self._next_offset == chunk.total_bytes
        if is_last or self._unsynced_bytes >= SYNC_BYTES:
            self._files.sync(self._file)
            self._unsynced_bytes = 0
        if not is_last:
            return None
        self._files.close(self._file)
        self._file = -1
        # Renamed only after the sync: a file of this name is whole, whenever a crash comes.
        whole = self._path.with_name("received.snapshot")
        self._files.rename(self._path, whole)
        return whole
