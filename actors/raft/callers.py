"""Frames of peers: which are believed, and what else than the core hears of them.

A frame that is no message, or comes from whom it must not, is ignored and complained about. Members
ask each other who they are; all else goes to the core. Parts of snapshots go on to the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from actors.raft.admission import Admission
from actors.raft.codec import PeerCodec
from actors.raft.core import RaftCore
from actors.raft.neighbours import Neighbours
from actors.raft.rpc import Introduction, JoinRequest, SnapshotAck, SnapshotChunk, Welcome
from cluster.wire import WireError

SnapshotFrame = SnapshotChunk | SnapshotAck


class Complaint(NamedTuple):
    """Something was ignored; those of one kind are said together."""

    kind: str
    text: str


class Callers:
    """Those of one member; `part_refusal` is why a part of a snapshot must be ignored, or empty."""

    def __init__(
        self,
        core: RaftCore,
        codec: PeerCodec,
        admission: Admission,
        neighbours: Neighbours,
        part_refusal: Callable[[SnapshotFrame], str],
    ) -> None:
        self._core = core
        self._codec = codec
        self._admission = admission
        self._neighbours = neighbours
        self._part_refusal = part_refusal

    def hear(self, frames: Iterable[bytes], now_ms: int) -> Iterator[SnapshotFrame | Complaint]:
        """Step the core with what may be believed; what is left for the caller, in order."""
        for frame in frames:
            try:
                message = self._codec.decode(frame)
            except WireError as error:
                # A peer's oddity is not our failure: whatever it was, Raft sends again.
                yield _complaint_of(frame, error)
                continue
            if isinstance(message, JoinRequest | Introduction | Welcome):
                yield from self._meet(message, now_ms)
                continue
            refusal = self._admission.refusal(message)
            if not refusal and isinstance(message, SnapshotChunk | SnapshotAck):
                refusal = self._part_refusal(message)
            if refusal:
                yield _ignored(message, message.source, refusal)
                if self._admission.is_news(message, refusal):
                    self._neighbours.ask(now_ms)
                continue
            self._core.step(message, now_ms)
            if isinstance(message, SnapshotChunk | SnapshotAck):
                yield message

    def _meet(
        self, message: JoinRequest | Introduction | Welcome, now_ms: int
    ) -> Iterator[Complaint]:
        refusal, source = "", 0
        match message:
            case JoinRequest():
                self._neighbours.welcome(message, now_ms)
            case Introduction(source):
                refusal = self._neighbours.introduced(message)
            case Welcome(source):
                by_core = self._core.welcomed(message, now_ms)
                refusal = self._neighbours.welcomed(message, is_believed=by_core)
        if refusal:
            yield _ignored(message, source, refusal)


def _ignored(message: object, source: int, refusal: str) -> Complaint:
    kind = type(message).__name__
    return Complaint(refusal, f"ignored a {kind} of member {source:x}: {refusal}")


def _complaint_of(frame: bytes, error: WireError) -> Complaint:
    # A frame may know where it came from (cluster.links.PeerFrame).
    address = getattr(frame, "address", "")
    where = f" from {address}" if address else ""
    kind = " ".join(str(error).split()[:2])
    return Complaint(kind, f"ignored a peer message{where}: {error}")
