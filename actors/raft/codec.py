"""Bytes of peer messages: positional msgpack, checked both ways.

A frame is (cluster id, kind, fields...). The entries of an append are packed by `runs`, so that one
encoding serves every peer and the write-ahead log. The annotation of a field in `rpc`
says what it may hold; this module adds the rules that annotations cannot say. A decoded message
keeps them all, and a message that its receiver would refuse is not sent. Refuses to know any rule
of Raft.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, get_args

from actors.language.codec import decode_command
from actors.language.commands import SetMembers
from actors.language.entries import Entry, Proposal, proposals_of
from actors.language.members import (
    MEMBER_KEYS_MAX,
    AddMember,
    MemberChange,
    PromoteMember,
    RemoveMember,
    ReplaceMember,
    SetKeys,
    UpdateMember,
)
from actors.language.shapes import Form, Shape, Shapes
from actors.raft.membership import decode
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
    NotRafts,
    Ping,
    Pong,
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
from actors.raft.runs import EntriesEncoder, decode_entries, packed_row
from cluster.addresses import MEMBER_URLS_MAX, AddressError, advertised_url, member_urls
from cluster.curve import parse_key
from cluster.wire import WireError, pack, packer, unpack

MESSAGE_KINDS: Final[tuple[type[Message], ...]] = (
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
"""The position of a message's class here is its code in a frame: new ones go to the end."""

_CHANGES: Final = {kind.__name__: kind for kind in get_args(MemberChange)}

_HELLO: Final = "hello"
_JOIN: Final = "join"
_WELCOME: Final = "welcome"
_PING: Final = "ping"
_PONG: Final = "pong"

SMALL_BYTES_MAX: Final = 64 * 1024
"""Larger runs of entries are packed without the codec's buffer, which never shrinks."""


# --- what annotations cannot say --------------------------------------------------------------


def _check_place(append: AppendRequest) -> None:
    if append.entries and append.entries[0].index != append.prev_index + 1:
        raise ValueError("entries do not follow the index they are said to follow")


def _read_proposals(rows: tuple[Any, ...], _: int) -> tuple[Proposal, ...]:
    """Decode each command before it enters the log: in there, all members had to skip it.

    A command that is sent was made by `encode_command`, and is not checked again.
    """
    _check_proposals(rows, 0)
    for _, _, command in rows:
        if type(decode_command(command)[0]) is SetMembers:
            raise ValueError("SetMembers is no command that a member may propose")
    return proposals_of(rows)


def _check_proposals(rows: tuple[Any, ...], _: int) -> tuple[Any, ...]:
    """The rows, if each has fields that the annotations of Proposal allow; else ValueError.

    Every put at a follower passes here; a `Shape` would take twice as long.
    """
    try:
        for origin, ticket, command in rows:
            if type(origin) is not int or type(ticket) is not int or type(command) is not bytes:
                raise ValueError("a proposal has a field of the wrong type")
            if origin < 0 or ticket < 0:
                raise ValueError("a proposal has a field below zero")
    except TypeError as error:
        raise ValueError(f"not proposals: {error}") from None
    return rows


def encode_change(change: MemberChange) -> bytes:
    """JSON: the name of the change and its fields; ValueError if `decode_change` refuses it."""
    row = (type(change).__name__, *SHAPES.of(type(change)).row(change))
    _check_change(change)
    return json.dumps(row, separators=(",", ":")).encode()


def decode_change(packed: bytes) -> MemberChange:
    """What `encode_change` made. Raises ValueError for anything else."""
    try:
        name, *fields = json.loads(packed)
        change: MemberChange = SHAPES.of(_CHANGES[name]).value(_tuples(fields))
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"not a change of members, or of another version: {error}") from None
    _check_change(change)
    return change


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples that they were."""
    return tuple([_tuples(each) for each in value]) if type(value) is list else value


def _check_change(change: MemberChange) -> None:
    packed_row(change)  # Unlike msgpack, JSON takes numbers of more than 64 bits.
    match change:
        case AddMember(peer) | ReplaceMember(_, peer):
            urls = peer.peer_urls
            _check_keys(peer.keys)
        case UpdateMember(_, urls):
            pass
        case SetKeys(_, keys):
            _check_keys(keys)
            return
        case RemoveMember() | PromoteMember():
            return
    if urls != member_urls(urls):
        raise ValueError("its URLs are not in their normal form")


def _check_keys(keys: tuple[str, ...]) -> None:
    if len(keys) > MEMBER_KEYS_MAX or any(parse_key(key) != key for key in keys):
        raise ValueError("its keys are not in their normal form")


def _check_url(introduction: Introduction) -> None:
    """Refuse a URL to which no socket could be asked to connect."""
    try:
        if advertised_url(introduction.url) == introduction.url:
            return
    except AddressError:
        pass
    raise ValueError(f"no member can be reached at {_shown(introduction.url)}")


def _check_urls(request: JoinRequest) -> None:
    if len(request.peer_urls) > MEMBER_URLS_MAX:
        raise ValueError("too many URLs")


def _check_welcome(welcome: Welcome) -> None:
    decode(welcome.membership)
    if len(welcome.client_urls) > MEMBER_URLS_MAX:
        raise ValueError("too many URLs")


SHAPES: Final = Shapes(
    forms={
        MemberChange: Form(
            get_args(MemberChange),
            (bytes,),
            lambda change, _: encode_change(change),
            lambda packed, _: decode_change(packed),
        ),
        # PeerCodec puts the packed run in its place.
        tuple[Entry, ...]: Form((tuple,), (bytes,), None, lambda run, _: decode_entries(run)),
        tuple[Proposal, ...]: Form((tuple,), (tuple,), _check_proposals, _read_proposals),
    },
    rules={
        AppendRequest: _check_place,
        Introduction: _check_url,
        JoinRequest: _check_urls,
        Welcome: _check_welcome,
    },
)

_OUT: Final = {kind: (code, SHAPES.of(kind)) for code, kind in enumerate(MESSAGE_KINDS)}
INCOMING: Final = [SHAPES.of(kind) for kind in MESSAGE_KINDS]
"""How to read a message whose code is its place here."""

_KINDS: Final = len(INCOMING)

_ENTRIES_AT: Final = AppendRequest._fields.index("entries")


# --- frames -----------------------------------------------------------------------------------


class PeerCodec:
    """The frames of one cluster; those of another cluster or program do not decode.

    It keeps a buffer, so only one thread at a time may use it.
    """

    def __init__(self, cluster_id: int) -> None:
        self.cluster_id = cluster_id
        self.entries = EntriesEncoder()
        self._pack = packer()

    def encode(self, message: Message) -> bytes:
        """One frame. Raises ValueError, rarely another error, if `decode` would refuse it."""
        code, shape = _OUT[type(message)]
        row: Sequence[Any] = shape.row(message)
        is_small = True
        if type(message) is AppendRequest:
            row = [*row]
            row[_ENTRIES_AT] = packed = self.entries.encode(message.entries)
            is_small = len(packed) <= SMALL_BYTES_MAX
        elif type(message) is SnapshotChunk:
            is_small = False
        try:
            return (self._pack if is_small else pack)((self.cluster_id, code, *row))
        except OverflowError as error:
            raise WireError(f"a number of more than 64 bits: {error}") from None

    def encode_introduction(self, introduction: Introduction) -> bytes:
        """The frame that says at which URL a member is reached."""
        return packed_row((_HELLO, self.cluster_id, *SHAPES.of(Introduction).row(introduction)))

    def encode_ping(self, said: Ping | Pong) -> bytes:
        """The frame of a ping, or of the answer to one."""
        name = _PING if isinstance(said, Ping) else _PONG
        return packed_row((name, self.cluster_id, *SHAPES.of(type(said)).row(said)))

    def encode_welcome(self, welcome: Welcome) -> bytes:
        """The frame that answers a JoinRequest."""
        return packed_row((_WELCOME, *SHAPES.of(Welcome).row(welcome)))

    def decode(self, frame: bytes) -> Message | NotRafts:
        """The message of a frame. Raises WireError, which says what is wrong with it."""
        if not frame:
            raise WireError("an empty message, or one of several frames")
        row = unpack(frame)
        if type(row) is not tuple or len(row) < 2:
            raise WireError("not a peer message")
        code = row[1]
        if row[0] == self.cluster_id and type(code) is int and 0 <= code < _KINDS:
            message: Message = _read(INCOMING[code], row[2:])
            return message
        return self._decode_named(row)

    def _decode_named(self, row: tuple[Any, ...]) -> NotRafts:
        """The message of a row that begins with a name: those that are not Raft's do."""
        match row:
            case "join", *_:
                request: JoinRequest = _read(SHAPES.of(JoinRequest), row[1:])
                return request
            case "hello", self.cluster_id, *_:
                introduction: Introduction = _read(SHAPES.of(Introduction), row[2:])
                return introduction
            case "ping", self.cluster_id, *_:
                ping: Ping = _read(SHAPES.of(Ping), row[2:])
                return ping
            case "pong", self.cluster_id, *_:
                pong: Pong = _read(SHAPES.of(Pong), row[2:])
                return pong
            case "welcome", *_:
                welcome: Welcome = _read(SHAPES.of(Welcome), row[1:])
                if welcome.cluster_id != self.cluster_id:
                    raise WireError(f"a message of another cluster ({welcome.cluster_id:x})")
                return welcome
            case self.cluster_id, code, *_:
                raise WireError(f"unknown kind of peer message {_shown(code)}")
        raise WireError(f"a message of another cluster ({_shown(row[0])})")


def encode_join(request: JoinRequest) -> bytes:
    """The frame of a JoinRequest. Its sender may know neither its own id nor the cluster's."""
    return packed_row((_JOIN, *SHAPES.of(JoinRequest).row(request)))


def decode_welcome(frame: bytes) -> Welcome | None:
    """The answer to a JoinRequest; None for any other frame."""
    try:
        row = unpack(frame)
        is_welcome = type(row) is tuple and row and row[0] == _WELCOME
        return _read(SHAPES.of(Welcome), row[1:]) if is_welcome else None
    except WireError:
        return None


def _read(shape: Shape, row: tuple[Any, ...]) -> Any:
    """The message of a row, or WireError: a peer may be another program, or another version."""
    try:
        return shape.value(row)
    except ValueError as error:
        raise WireError(f"malformed {shape.kind.__name__}: {error}") from None


def _shown(value: Any) -> str:
    """A value that a stranger sent, cut to a length that fits a line of the log."""
    return repr(value)[:_SHOWN_CHARS_MAX]


_SHOWN_CHARS_MAX: Final = 40
