"""Bytes of peer messages and log entries: positional msgpack, checked on the way in.

A frame is (cluster id, kind, fields...); the entries of an append are packed once, by themselves,
so that one encoding serves every peer and the write-ahead log. Knows no rule of Raft.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from actors.raft.membership import Membership, decode, encode
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    ChangeRefusal,
    ChangeRequest,
    Entry,
    ForwardRefusal,
    ForwardRequest,
    Heartbeat,
    HeartbeatResponse,
    Introduction,
    JoinRequest,
    Message,
    Proposal,
    ReadRequest,
    ReadResponse,
    RemovedNotice,
    SnapshotAck,
    SnapshotChunk,
    TimeoutNow,
    VoteRequest,
    VoteResponse,
    Welcome,
)
from cluster.wire import WireError, pack, unpack

_KINDS: Final[tuple[type[Message], ...]] = (
    AppendRequest,
    AppendResponse,
    Heartbeat,
    HeartbeatResponse,
    ForwardRequest,
    ReadRequest,
    ReadResponse,
    VoteRequest,
    VoteResponse,
    ForwardRefusal,
    SnapshotChunk,
    SnapshotAck,
    TimeoutNow,
    ChangeRequest,
    ChangeRefusal,
    RemovedNotice,
)
_KIND_OF: Final[dict[type[Message], int]] = {kind: code for code, kind in enumerate(_KINDS)}

_LAST_FIELD: Final[dict[type[Message], type]] = {
    SnapshotChunk: bytes,
    ChangeRequest: bytes,
    ChangeRefusal: str,
}
"""Kinds whose last field is no number."""

_HELLO: Final = "hello"
_JOIN: Final = "join"
_WELCOME: Final = "welcome"

ENCODINGS_KEPT: Final = 8


class EntriesEncoder:
    """Packs runs of entries, remembering the last few: a leader needs each run for every peer.

    By the log matching property (Raft 5.3) the ends of a run identify all of it.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int, int, int], bytes] = {}

    def encode(self, entries: Sequence[Entry]) -> bytes:
        """One msgpack array of entries."""
        if not entries:
            return _NO_ENTRIES
        first, last = entries[0], entries[-1]
        key = (first.index, first.term, last.index, last.term)
        packed = self._kept.get(key)
        if packed is None:
            packed = pack(entries)
            if len(self._kept) >= ENCODINGS_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = packed
        return packed


def decode_entries(packed: bytes) -> tuple[Entry, ...]:
    """The entries of one packed run; WireError if they are not entries in consecutive order."""
    rows = unpack(packed)
    try:
        entries = tuple(map(Entry._make, _array(rows)))
        for number, entry in enumerate(entries, entries[0].index if entries else 0):
            if entry[0] != number:
                raise WireError("entries are not consecutive")
            if not isinstance(entry.command, bytes) or not isinstance(sum(entry[1:5]), int):
                raise WireError("an entry has a field of the wrong type")
    except TypeError as error:
        raise WireError(f"not log entries: {error}") from None
    return entries


def _array(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, tuple):
        raise TypeError("not an array")
    return value


_NO_ENTRIES: Final = pack(())


class PeerCodec:
    """Frames of one cluster; those of another cluster, or of another program, do not decode."""

    def __init__(self, cluster_id: int) -> None:
        self._cluster_id = cluster_id
        self.entries = EntriesEncoder()

    def encode(self, message: Message) -> bytes:
        """One frame."""
        kind = _KIND_OF[type(message)]
        if isinstance(message, AppendRequest):
            return pack((self._cluster_id, kind, *message[:-1], self.entries.encode(message[-1])))
        return pack((self._cluster_id, kind, *message))

    def encode_introduction(self, member_id: int, url: str) -> bytes:
        """Where that member is reached."""
        return pack((_HELLO, self._cluster_id, member_id, url))

    def encode_welcome(
        self, source: int, member_id: int, nonce: int, membership: Membership
    ) -> bytes:
        """The answer of member `source` to a JoinRequest of member `member_id`."""
        welcome = Welcome(source, member_id, self._cluster_id, nonce, encode(membership))
        return pack((_WELCOME, *welcome))

    def decode(self, frame: bytes) -> Message | JoinRequest | Introduction:
        """The message of a frame. Raises WireError, which says what is wrong with it."""
        row = unpack(frame)
        if not isinstance(row, tuple) or len(row) < 2:
            raise WireError("not a peer message")
        match row:
            case "join", int(nonce), int(member_id), tuple(urls):
                return JoinRequest(nonce, member_id, tuple(map(str, urls)))
            case "hello", self._cluster_id, int(member_id), str(url):
                return Introduction(member_id, url)
        cluster_id, code, *fields = row
        if cluster_id != self._cluster_id:
            raise WireError(f"a message of another cluster ({cluster_id!r})")
        if not isinstance(code, int) or not 0 <= code < len(_KINDS):
            raise WireError(f"unknown kind of peer message {code!r}")
        return _checked(_KINDS[code], fields)


def encode_join(request: JoinRequest) -> bytes:
    """A JoinRequest: who sends it may know neither its own id nor the cluster's."""
    return pack((_JOIN, *request))


def decode_welcome(frame: bytes) -> Welcome | None:
    """The answer to a JoinRequest; None for any other frame."""
    try:
        match unpack(frame):
            case "welcome", int(source), int(member_id), int(cluster), int(nonce), bytes(packed):
                decode(packed)
                return Welcome(source, member_id, cluster, nonce, packed)
    except (WireError, ValueError):
        pass
    return None


def _checked(kind: type[Message], fields: list[Any]) -> Message:
    """The message, if every field has the type it must have: a peer may be another program."""
    numbers = fields
    try:
        if kind is AppendRequest:
            numbers, fields[-1] = fields[:-1], _entries_after(fields[4], fields[-1])
        elif kind is ForwardRequest:
            numbers, fields[-1] = fields[:-1], _proposals(fields[-1])
        elif kind is ForwardRefusal:
            numbers = [*fields[:3], *_array(fields[3])]
            if not isinstance(fields[4], str):
                raise TypeError("its error is not a name")
        elif kind in _LAST_FIELD:
            numbers = fields[:-1]
            if not isinstance(fields[-1], _LAST_FIELD[kind]):
                raise TypeError("its last field has the wrong type")
        message: Message = kind._make(fields)
    except (TypeError, IndexError) as error:
        raise WireError(f"malformed {kind.__name__}: {error}") from None
    if not all(isinstance(number, int) for number in numbers):
        raise WireError(f"malformed {kind.__name__}: a field is not a number")
    return message


def _entries_after(prev_index: Any, packed: bytes) -> tuple[Entry, ...]:
    entries = decode_entries(packed)
    if entries and entries[0].index != prev_index + 1:
        raise WireError("entries do not follow the index they are said to follow")
    return entries


def _proposals(rows: Any) -> tuple[Proposal, ...]:
    proposals = tuple(map(Proposal._make, _array(rows)))
    for origin, ticket, command in proposals:
        if not (isinstance(origin, int) and isinstance(ticket, int) and isinstance(command, bytes)):
            raise TypeError("not proposals")
    return proposals
