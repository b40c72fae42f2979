"""Frames that no member sends: of messages that the codec would not make, as strangers make them.

Knows the form of a frame, and nothing of what its fields may hold.
"""

from __future__ import annotations

from typing import Any

from actors.raft.codec import MESSAGE_KINDS, encode_change
from actors.raft.rpc import (
    AppendRequest,
    ChangeRequest,
    Introduction,
    JoinRequest,
    Message,
    NotRafts,
    Ping,
    Pong,
    Welcome,
)
from cluster.wire import pack

CODES = {kind: code for code, kind in enumerate(MESSAGE_KINDS)}
"""By kind of message: its number in a frame."""


def forged(cluster_id: int, message: Message | NotRafts) -> bytes:
    """The frame of a message, whatever is in it."""
    match message:
        case Introduction():
            return pack(("hello", cluster_id, *message))
        case Ping():
            return pack(("ping", cluster_id, *message))
        case Pong():
            return pack(("pong", cluster_id, *message))
        case JoinRequest():
            return pack(("join", *message))
        case Welcome():
            return pack(("welcome", *message))
        case AppendRequest():
            named: dict[str, Any] = {**message._asdict(), "entries": pack(message.entries)}
        case ChangeRequest(change=change) if not isinstance(change, bytes):
            named = {**message._asdict(), "change": encode_change(change)}
        case _:
            named = message._asdict()
    return pack((cluster_id, CODES[type(message)], *named.values()))
