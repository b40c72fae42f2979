"""Bytes of peer messages and log entries: positional msgpack, checked on the way in.

A frame is (cluster id, kind, fields...); the entries of an append are packed once, by themselves,
so that one encoding serves every peer and the write-ahead log. What a field may hold is checked by
its annotation in `rpc`: whoever gets a message may rely on it. Knows no rule of Raft.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, get_type_hints

from actors.language.codec import decode_command
from actors.language.commands import SetMembers
from actors.language.entries import Entry, Proposal
from actors.language.members import Change
from actors.raft.membership import decode, decode_change, encode_change, urls_of
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    ChangeRefusal,
    ChangeRequest,
    Confession,
    Contradiction,
    Doubt,
    ForwardRefusal,
    ForwardRequest,
    Heartbeat,
    HeartbeatResponse,
    Introduction,
    JoinRequest,
    Message,
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
from cluster.addresses import MEMBER_URLS_MAX, AddressError, advertised_url, member_urls
from cluster.errors import FaultName, MaybeFault, fault_name
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
    Contradiction,
    Confession,
    Doubt,
)
_KIND_OF: Final[dict[type[Message], int]] = {kind: code for code, kind in enumerate(_KINDS)}

_HELLO: Final = "hello"
_JOIN: Final = "join"
_WELCOME: Final = "welcome"

NUMBER_MAX: Final = 1 << 62
"""No term, index or time comes near: sums of two still fit 64 bits."""

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
    if not isinstance(rows, tuple):
        raise WireError("not log entries")
    try:
        entries = tuple(map(Entry._make, rows))
        number = entries[0].index if entries else 0
        for index, term, time_ms, origin, ticket, command in entries:
            if index != number:
                raise WireError("entries are not consecutive")
            number += 1
            if type(command) is not bytes or type(term + time_ms + origin + ticket) is not int:
                raise WireError("an entry has a field of the wrong type")
            if not (0 <= term <= NUMBER_MAX and 0 <= time_ms <= NUMBER_MAX):
                raise WireError("an entry has a field out of range")
            if origin < 0 or ticket < 0:
                raise WireError("an entry has a field out of range")
    except TypeError as error:
        raise WireError(f"not log entries: {error}") from None
    if entries and not (isinstance(number, int) and 0 < number <= NUMBER_MAX):
        raise WireError("an entry has an index out of range")
    return entries


_NO_ENTRIES: Final = pack(())


class PeerCodec:
    """Frames of one cluster; those of another cluster, or of another program, do not decode."""

    def __init__(self, cluster_id: int) -> None:
        self.cluster_id = cluster_id
        self.entries = EntriesEncoder()

    def encode(self, message: Message) -> bytes:
        """One frame."""
        kind = _KIND_OF[type(message)]
        if isinstance(message, AppendRequest):
            return pack((self.cluster_id, kind, *message[:-1], self.entries.encode(message[-1])))
        if isinstance(message, ChangeRequest):
            return pack((self.cluster_id, kind, *message[:-1], encode_change(message[-1])))
        return pack((self.cluster_id, kind, *message))

    def encode_introduction(self, member_id: int, url: str) -> bytes:
        """Where that member is reached."""
        return pack((_HELLO, self.cluster_id, member_id, url))

    def encode_welcome(self, welcome: Welcome) -> bytes:
        """The answer to a JoinRequest."""
        return pack((_WELCOME, *welcome))

    def decode(self, frame: bytes) -> Message | JoinRequest | Introduction | Welcome:
        """The message of a frame. Raises WireError, which says what is wrong with it."""
        if not frame:
            raise WireError("a message of several frames, or of nothing")
        row = unpack(frame)
        if not isinstance(row, tuple) or len(row) < 2:
            raise WireError("not a peer message")
        match row:
            case "join", int(nonce), int(member_id), tuple(urls), bool(on_probation):
                return JoinRequest(nonce, member_id, _urls(urls), on_probation)
            case "hello", self.cluster_id, int(member_id), str(url):
                return Introduction(member_id, _url(url))
            case "welcome", *_:
                welcome = _welcome(row)
                if welcome.cluster_id != self.cluster_id:
                    raise WireError(f"a message of another cluster ({welcome.cluster_id:x})")
                return welcome
        cluster_id, code, *fields = row
        if cluster_id != self.cluster_id:
            raise WireError(f"a message of another cluster ({_shown(cluster_id)})")
        if not isinstance(code, int) or not 0 <= code < len(_KINDS):
            raise WireError(f"unknown kind of peer message {_shown(code)}")
        return _message(_KINDS[code], fields)


def encode_join(request: JoinRequest) -> bytes:
    """A JoinRequest: who sends it may know neither its own id nor the cluster's."""
    return pack((_JOIN, *request))


def decode_welcome(frame: bytes) -> Welcome | None:
    """The answer to a JoinRequest; None for any other frame."""
    try:
        row = unpack(frame)
        return _welcome(row) if isinstance(row, tuple) and row else None
    except WireError:
        return None


def _welcome(row: tuple[Any, ...]) -> Welcome:
    kind, fields = row[0], row[1:]
    if kind != _WELCOME or tuple(map(type, fields)) != _WELCOME_TYPES:
        raise WireError("malformed Welcome")
    welcome = Welcome._make(fields)
    if any(
        not 0 <= value <= NUMBER_MAX
        for value in (welcome.term, welcome.last_index, welcome.last_term)
    ):
        raise WireError("a Welcome has a field out of range")
    try:
        decode(welcome.membership)
    except ValueError as error:
        raise WireError(str(error)) from None
    return welcome._replace(client_urls=_urls(welcome.client_urls))


_WELCOME_TYPES: Final = (int, int, int, int, bytes, bool, int, int, int, int, tuple)


# --- the fields of a message, by their annotations --------------------------------------------


def _proposals(rows: tuple[Any, ...]) -> tuple[Proposal, ...]:
    """Commands are decoded before they enter the log: who could not read one could not go on."""
    proposals = tuple(map(Proposal._make, rows))
    for origin, ticket, command in proposals:
        if type(command) is not bytes or type(origin + ticket) is not int:
            raise TypeError("not proposals")
        if origin < 0 or ticket < 0:
            raise ValueError("a proposal has a field below zero")
        if isinstance(decode_command(command)[0], SetMembers):
            raise ValueError("members are not changed by a command")
    return proposals


def _tickets(numbers: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(map(_count, numbers))


def _fault(name: str) -> FaultName:
    known = fault_name(name)
    if known is None:
        raise ValueError(f"unknown name of an error {_shown(name)}")
    return known


def _maybe_fault(name: str) -> MaybeFault:
    return _fault(name) if name else ""


def _change(packed: bytes) -> Change:
    change = decode_change(packed)
    urls = urls_of(change)
    if urls and urls != member_urls(urls):
        raise ValueError("URLs that are not spelled as members keep them")
    return change


def _url(url: str) -> str:
    """One that a socket can be asked to connect to."""
    try:
        if advertised_url(url) == url:
            return url
    except AddressError:
        pass
    raise WireError(f"nobody can be reached at {_shown(url)}")


def _urls(urls: tuple[Any, ...]) -> tuple[str, ...]:
    if len(urls) > MEMBER_URLS_MAX or not all(isinstance(url, str) for url in urls):
        raise WireError("malformed URLs")
    return urls


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"{_shown(value)} is no count")
    return value


def _shown(value: Any) -> str:
    """A value of a stranger's, short enough for the log."""
    return repr(value)[:_SHOWN_CHARS_MAX]


_SHOWN_CHARS_MAX: Final = 40

Read = Callable[[Any], Any]

_ON_THE_WIRE: Final[dict[Any, tuple[type, Read | None]]] = {
    int: (int, None),
    bool: (bool, None),
    bytes: (bytes, None),
    tuple[int, ...]: (tuple, _tickets),
    tuple[Entry, ...]: (bytes, decode_entries),
    tuple[Proposal, ...]: (tuple, _proposals),
    FaultName: (str, _fault),
    MaybeFault: (str, _maybe_fault),
    Change: (bytes, _change),
}
"""What stands in a frame for each kind of field, and how it is read if not as it is."""

_FIELDS: Final = {
    kind: [_ON_THE_WIRE[hint] for hint in get_type_hints(kind).values()] for kind in _KINDS
}
_TYPES: Final = {kind: tuple([type_ for type_, _ in fields]) for kind, fields in _FIELDS.items()}
_READS: Final = {
    kind: [(place, read) for place, (_, read) in enumerate(fields) if read is not None]
    for kind, fields in _FIELDS.items()
}


def _message(kind: type[Message], fields: list[Any]) -> Message:
    """The message, if every field is what it must be: a peer may be another program or version."""
    try:
        if tuple(map(type, fields)) != _TYPES[kind]:
            raise TypeError("its fields have other types")
        for place, read in _READS[kind]:
            fields[place] = read(fields[place])
        if any(value < 0 for value in fields if type(value) is int):
            raise TypeError("a field is below zero")
        message: Message = kind._make(fields)
    except (TypeError, ValueError) as error:
        raise WireError(f"malformed {kind.__name__}: {error}") from None
    if isinstance(message, AppendRequest):
        _check_place(message)
    return message


def _check_place(message: AppendRequest) -> None:
    if message.entries and message.entries[0].index != message.prev_index + 1:
        raise WireError("entries do not follow the index they are said to follow")
