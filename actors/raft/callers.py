"""Callers: the frames of peers, which of them are believed, and where each goes.

A frame that is no message, or that its sender may not send, is ignored with a complaint. Questions
of who the members are go to `Neighbours`, all other messages to the core, and parts of snapshots to
the caller as well. Refuses to know what a message of Raft's means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from actors.raft.admission import REMOVED, STRANGER, Admission
from actors.raft.codec import PeerCodec
from actors.raft.core import RaftCore
from actors.raft.keyring import Keyring
from actors.raft.names import Names
from actors.raft.neighbours import Neighbours
from actors.raft.rpc import (
    Introduction,
    JoinRequest,
    NotRafts,
    Ping,
    Pong,
    RemovedNotice,
    SnapshotAck,
    SnapshotChunk,
    Welcome,
)
from cluster.wire import WireError

SnapshotFrame = SnapshotChunk | SnapshotAck


class Complaint(NamedTuple):
    """A frame was ignored; complaints of one kind are logged together."""

    kind: str
    text: str


class Callers:
    """The peers that call one member; `part_refusal` says why to ignore a part of a snapshot."""

    def __init__(
        self,
        core: RaftCore,
        codec: PeerCodec,
        admission: Admission,
        neighbours: Neighbours,
        names: Names,
        part_refusal: Callable[[SnapshotFrame], str],
        keyring: Keyring | None = None,
    ) -> None:
        self._core = core
        self._codec = codec
        self._admission = admission
        self._neighbours = neighbours
        self._names = names
        self._part_refusal = part_refusal
        self._keyring = keyring

    def hear(self, frames: Iterable[bytes], now_ms: int) -> Iterator[SnapshotFrame | Complaint]:
        """Step the core with the messages that are believed; yields what the caller must do."""
        for frame in frames:
            try:
                message = self._codec.decode(frame)
            except WireError as error:
                # A peer's mistake must not end this process. If the frame mattered, Raft will send
                # it again.
                yield _complaint_of(frame, error)
                continue
            if self._keyring is not None:
                # The one place where a member could pass for another.
                foreign = self._keyring.refusal(getattr(frame, "key", ""), message)
                if foreign:
                    yield Complaint(foreign, f"ignored a {type(message).__name__}: {foreign}")
                    continue
            part: SnapshotFrame | None = None
            match message:
                case JoinRequest() | Introduction() | Welcome() | Ping() | Pong():
                    yield from self._meet(message, now_ms)
                    continue
                case SnapshotChunk() | SnapshotAck():
                    part = message
                    refusal = self._admission.refusal(part) or self._part_refusal(part)
                case _:
                    refusal = self._admission.refusal(message)
            if refusal:
                yield self._ignored(message, message.source, refusal)
                if self._admission.is_news(message, refusal):
                    self._neighbours.ask(now_ms)
                continue
            self._core.step(message, now_ms)
            if part is not None:
                yield part

    def knocked(self, key: str, now_ms: int) -> Complaint:
        """Somebody with this key was not let in: it may be a member that is not known here yet, or
        one that does not know that it was removed."""
        core = self._core
        for peer in core.roster.committed.former:
            if key in peer.keys and peer.id in core.roster.removed:
                notice = RemovedNotice(core.config.member_id, peer.id, core.term)
                self._neighbours.send((notice,), now_ms)
                return Complaint(REMOVED, f"did not let in {self._names.of(peer.id)}: {REMOVED}")
        self._neighbours.ask(now_ms)
        return Complaint(STRANGER, f"did not let in somebody with the key {key}: {STRANGER}")

    def _meet(self, message: NotRafts, now_ms: int) -> Iterator[Complaint]:
        refusal, source = "", 0
        match message:
            case JoinRequest():
                self._neighbours.welcome(message, now_ms)
            case Ping(source):
                refusal = self._neighbours.pinged(message)
            case Pong(source):
                refusal = self._neighbours.ponged(message)
            case Introduction(source):
                refusal = self._neighbours.introduced(message)
            case Welcome(source):
                by_core = self._core.welcomed(message, now_ms)
                refusal = self._neighbours.welcomed(message, is_believed=by_core)
        if refusal:
            yield self._ignored(message, source, refusal)

    def _ignored(self, message: object, source: int, refusal: str) -> Complaint:
        what, name = type(message).__name__, self._names.of(source)
        return Complaint(refusal, f"ignored a {what} of member {name}: {refusal}")


def _complaint_of(frame: bytes, error: WireError) -> Complaint:
    # A frame may know the address it came from (cluster.links.PeerFrame).
    address = getattr(frame, "address", "")
    where = f" from {address}" if address else ""
    kind = " ".join(str(error).split()[:2])
    return Complaint(kind, f"ignored a peer message{where}: {error}")
