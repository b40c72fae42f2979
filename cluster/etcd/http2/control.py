"""Frames that carry no part of a request (RFC 9113, 6.3 to 6.9): settings, windows, pings, resets.

Each but a reset of unanswered work is a nuisance that is counted. Refuses to know header blocks.
"""

from __future__ import annotations

from typing import Final

from cluster.etcd.http2 import frames
from cluster.etcd.http2.codes import (
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    PROTOCOL_ERROR,
    Http2Error,
)
from cluster.etcd.http2.ending import Endings
from cluster.etcd.http2.handler import Handler
from cluster.etcd.http2.sending import Sender
from cluster.etcd.http2.settings import settings_of
from cluster.etcd.http2.streams import Streams
from cluster.etcd.http2.windows import WINDOW_MAX

STREAMS_VISITED: Final = 64
"""Streams whose windows are changed for one nuisance."""


class ControlFrames:
    """Does what control frames say. Each method raises Http2Error."""

    def __init__(
        self, handler: Handler, streams: Streams, sender: Sender, endings: Endings
    ) -> None:
        self._handler = handler
        self._streams = streams
        self._sender = sender
        self._floods = endings.floods
        self._endings = endings
        self.has_settings = False
        self.acked_ping = b""

    def receive(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """One frame of any kind but DATA, HEADERS and CONTINUATION."""
        if kind == frames.WINDOW_UPDATE:
            self._floods.nuisance()
            self._window_update(stream_id, payload)
        elif kind == frames.RST_STREAM:
            self._rst_stream(stream_id, payload)
        elif kind == frames.PING:
            self._floods.nuisance()
            self._ping(flags, stream_id, payload)
        elif kind == frames.SETTINGS:
            self._floods.nuisance()
            self._settings(flags, stream_id, payload)
        elif kind == frames.PRIORITY:
            self._floods.nuisance()
            self._priority(stream_id, payload)
        elif kind == frames.PUSH_PROMISE:
            raise Http2Error(PROTOCOL_ERROR, "a client may promise nothing")  # 8.4
        elif kind == frames.GOAWAY:
            self._floods.nuisance()
            if stream_id or len(payload) < 8:
                raise Http2Error(
                    PROTOCOL_ERROR if stream_id else FRAME_SIZE_ERROR, "a malformed GOAWAY"
                )
            # The peer takes no streams from this side, which opens none (6.8).
        else:
            self._floods.nuisance()  # an unknown kind is ignored (5.5)

    def _window_update(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Http2Error(FRAME_SIZE_ERROR, "a malformed WINDOW_UPDATE")
        increment = int.from_bytes(payload, "big") & WINDOW_MAX
        sender = self._sender
        if not stream_id:
            if not increment:
                raise Http2Error(PROTOCOL_ERROR, "a window that grows by nothing")
            sender.window += increment
            if sender.window > WINDOW_MAX:
                raise Http2Error(FLOW_CONTROL_ERROR, "a window that is too large")
            return
        stream = self._streams.open.get(stream_id)
        if stream is None:
            # A peer may not know yet that the stream is closed (5.1).
            self._endings.expect_begun(stream_id)
        elif not increment:
            self._endings.fault(stream_id, PROTOCOL_ERROR)
        elif stream.send_window + increment > WINDOW_MAX:
            self._endings.fault(stream_id, FLOW_CONTROL_ERROR)
        else:
            sender.widen(stream, increment)

    def _rst_stream(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Http2Error(FRAME_SIZE_ERROR, "a malformed RST_STREAM")
        stream = self._streams.open.get(stream_id)
        if stream is None:
            self._floods.nuisance()
            self._endings.expect_begun(stream_id)
            return
        if stream.is_answered:
            self._floods.nuisance()
        else:
            self._floods.reset()
        self._endings.close(stream)
        self._handler.on_reset(stream, int.from_bytes(payload, "big"))

    def _ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise Http2Error(PROTOCOL_ERROR, "a PING on a stream")
        if len(payload) != frames.PING_BYTES:
            raise Http2Error(FRAME_SIZE_ERROR, "a malformed PING")
        if flags & frames.ACK:
            self.acked_ping = payload
        else:
            self._sender.pong(payload)

    def _settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        values = settings_of(flags, stream_id, payload)
        if flags & frames.ACK:
            return
        sender, streams = self._sender, self._streams
        window = values.get(frames.INITIAL_WINDOW_SIZE, sender.initial_window)
        increment, sender.initial_window = window - sender.initial_window, window
        if increment:
            self._floods.nuisance(len(streams.open) // STREAMS_VISITED)  # each stream is visited
            for stream in streams.open.values():
                if stream.send_window + increment > WINDOW_MAX:  # 6.9.2
                    raise Http2Error(FLOW_CONTROL_ERROR, "a window that is too large")
                sender.widen(stream, increment)
        if frames.HEADER_TABLE_SIZE in values:
            sender.limit_table(values[frames.HEADER_TABLE_SIZE])
        sender.control(frames.SETTINGS_ACK)
        self.has_settings = True

    def _priority(self, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            raise Http2Error(PROTOCOL_ERROR, "a priority of no stream")
        if len(payload) != 5:
            if stream_id not in self._streams.open:
                raise Http2Error(FRAME_SIZE_ERROR, "a malformed PRIORITY")
            self._endings.fault(stream_id, FRAME_SIZE_ERROR)
