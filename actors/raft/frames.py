"""What a frame between members says on its outside: whose it is, and what kind of message.

For those who watch the links, or harm them. It reads no more of a frame than it must, and checks
nothing: the codec does, for those who believe a frame.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgpack

from actors.raft.codec import MESSAGE_KINDS
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
    Message,
    ReadRequest,
    ReadResponse,
    RemovedNotice,
    SnapshotAck,
    SnapshotChunk,
    TimeoutNow,
    VoteRequest,
    VoteResponse,
)
from cluster.wire import WireError, unpack

NAMES: Final[dict[type[Message], str]] = {
    AppendRequest: "append",
    AppendResponse: "append_ack",
    Heartbeat: "heartbeat",
    HeartbeatResponse: "heartbeat_ack",
    ForwardRequest: "forward",
    ForwardRefusal: "forward_refusal",
    ReadRequest: "read",
    ReadResponse: "read_answer",
    VoteRequest: "vote",
    VoteResponse: "vote_answer",
    SnapshotChunk: "snapshot",
    SnapshotAck: "snapshot_ack",
    TimeoutNow: "timeout_now",
    ChangeRequest: "change",
    ChangeRefusal: "change_refusal",
    RemovedNotice: "removed",
    Contradiction: "contradiction",
    Confession: "confession",
    Doubt: "doubt",
}
"""What a message is called by those who watch. A pre-vote is a vote with the prefix PRE."""

PRE: Final = "pre_"

_HEAD: Final = 2
"""A frame of Raft's is (cluster id, kind, fields...)."""

_SOURCE: Final = 2
"""Where most frames have their sender: the first field, or the second behind a name."""

_ENTRIES: Final = _HEAD + AppendRequest._fields.index("entries")
_PRE: Final = _HEAD + VoteRequest._fields.index("pre")
_TERM: Final = _HEAD + AppendRequest._fields.index("term")
_ARRAY_HEADER_BYTES: Final = 5


class Summary(NamedTuple):
    """What a frame is. `term` is 0 for what is none of Raft's messages."""

    what: str
    term: int = 0
    entries: int = 0


def source_of(frame: bytes) -> int:
    """The member that a frame is from, 0 if it does not say."""
    row = _row(frame)
    # A Welcome names its sender first, and then its receiver.
    at = 1 if row[:1] == ("welcome",) else _SOURCE
    source = row[at] if at < len(row) else 0
    return source if type(source) is int else 0


def summary_of(frame: bytes) -> Summary | None:
    """What a frame is; None if it is no frame of this program's."""
    row = _row(frame)
    if len(row) > _HEAD and isinstance(row[0], str):
        return Summary(row[0])
    try:
        kind = MESSAGE_KINDS[row[1]]
        what, term = NAMES[kind], int(row[_TERM])
        if kind in {VoteRequest, VoteResponse} and row[_PRE]:
            what = PRE + what
        return Summary(what, term, _count(row[_ENTRIES]) if kind is AppendRequest else 0)
    except (IndexError, TypeError, ValueError, msgpack.UnpackException):
        return None


def _row(frame: bytes) -> tuple[Any, ...]:
    try:
        row = unpack(frame)
    except WireError:
        return ()
    return row if type(row) is tuple else ()


def _count(packed: bytes) -> int:
    """The number of entries in a packed run."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(packed[:_ARRAY_HEADER_BYTES])
    return int(unpacker.read_array_header())
