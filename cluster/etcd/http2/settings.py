"""What SETTINGS frames may say (RFC 9113, 6.5). Refuses to know what a setting changes."""

from __future__ import annotations

from typing import Final

from cluster.etcd.http2 import frames
from cluster.etcd.http2.codes import (
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    PROTOCOL_ERROR,
    Http2Error,
)
from cluster.etcd.http2.limits import FRAME_BYTES_MAX, Limits
from cluster.etcd.http2.windows import WINDOW_MAX

STREAMS_UNLIMITED: Final = 0xFFFF_FFFF
"""Streams are many and mostly idle: watches. A client that is told of a limit waits in silence when
it is reached, so unanswered requests are bounded instead."""

MAX_FRAME_SIZE_MAX: Final = 0xFF_FFFF


def own_settings(limits: Limits) -> bytes:
    """The SETTINGS frame of this side."""
    return frames.settings(
        {
            frames.MAX_CONCURRENT_STREAMS: STREAMS_UNLIMITED,
            frames.INITIAL_WINDOW_SIZE: limits.stream_window_bytes,
            frames.MAX_HEADER_LIST_SIZE: limits.header_list_bytes,
        }
    )


def settings_of(flags: int, stream_id: int, payload: bytes) -> dict[int, int]:
    """The last value of each setting in a frame, but the least HEADER_TABLE_SIZE.

    Others before the last change nothing that lasts, since no frame stands between them (6.5.3).
    Raises Http2Error.
    """
    if stream_id:
        raise Http2Error(PROTOCOL_ERROR, "SETTINGS on a stream")
    if len(payload) % frames.SETTING.size or (flags & frames.ACK and payload):
        raise Http2Error(FRAME_SIZE_ERROR, "a malformed SETTINGS")
    values: dict[int, int] = {}
    for identifier, value in frames.SETTING.iter_unpack(payload):
        if identifier == frames.ENABLE_PUSH and value > 1:
            raise Http2Error(PROTOCOL_ERROR, "ENABLE_PUSH is 0 or 1")
        if identifier == frames.INITIAL_WINDOW_SIZE and value > WINDOW_MAX:
            raise Http2Error(FLOW_CONTROL_ERROR, "an INITIAL_WINDOW_SIZE that is too large")
        if identifier == frames.MAX_FRAME_SIZE and not (
            FRAME_BYTES_MAX <= value <= MAX_FRAME_SIZE_MAX
        ):
            raise Http2Error(PROTOCOL_ERROR, "a MAX_FRAME_SIZE that no peer may have")
        if identifier == frames.HEADER_TABLE_SIZE:  # each limit must be kept to (RFC 7541, 4.2)
            values[identifier] = min(value, values.get(identifier, value))
        else:
            values[identifier] = value
    return values
