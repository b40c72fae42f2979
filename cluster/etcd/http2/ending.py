"""How streams end other than by their answers, and what frames on streams that are not open mean.

Owns the two ends that a peer's frames can bring about (RFC 9113, 5.1 and 5.4).
"""

from __future__ import annotations

from cluster.etcd.http2 import frames
from cluster.etcd.http2.codes import PROTOCOL_ERROR, STREAM_CLOSED, Http2Error
from cluster.etcd.http2.floods import Floods
from cluster.etcd.http2.handler import Handler
from cluster.etcd.http2.sending import Sender
from cluster.etcd.http2.streams import IDLE, PASSED_OVER, RESET_HERE, Http2Stream, Streams


class Endings:
    """Closes streams of one connection."""

    def __init__(self, handler: Handler, streams: Streams, sender: Sender, floods: Floods) -> None:
        self._handler = handler
        self._streams = streams
        self._sender = sender
        self.floods = floods

    def close(self, stream: Http2Stream) -> None:
        """The stream is closed, and what waits for it is dropped."""
        self._streams.remove(stream)
        self._sender.forget(stream)

    def fault(self, stream_id: int, code: int) -> None:
        """End one stream for what the peer has sent on it (5.4.2). Raises Http2Error where
        the peer makes a habit of it."""
        self.floods.reset()
        self._sender.control(frames.rst_stream(stream_id, code))
        self._streams.remember_reset(stream_id)
        stream = self._streams.open.get(stream_id)
        if stream is not None:
            self.close(stream)
            self._handler.on_reset(stream, code)

    def refuse(self, stream_id: int, code: int) -> None:
        """Do not begin a stream. The peer may try it again: nothing has been done with it."""
        self.floods.nuisance()
        self._sender.control(frames.rst_stream(stream_id, code))
        self._streams.remember_reset(stream_id)

    def late(self, stream_id: int) -> None:
        """HEADERS or DATA on a stream that is not open. Raises Http2Error but where the peer
        may not have heard that this side has reset the stream."""
        place = self._streams.place(stream_id)
        if place is RESET_HERE:
            self.floods.nuisance()
        elif place in {IDLE, PASSED_OVER}:
            raise Http2Error(PROTOCOL_ERROR, "a frame on a stream that was not opened")
        else:
            raise Http2Error(STREAM_CLOSED, "a frame on a stream that is closed")

    def expect_begun(self, stream_id: int) -> None:
        """RST_STREAM or WINDOW_UPDATE on a stream that is not open: fine if it once was."""
        if not stream_id or self._streams.place(stream_id) is IDLE:
            raise Http2Error(PROTOCOL_ERROR, "a frame on a stream that was not opened")
