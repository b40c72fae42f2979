"""The server's side of one HTTP/2 connection (RFC 9113), without sockets and clocks.

    bytes from the peer -> receive(data, now) -> calls of the handler
    respond, send, trailers, unary, reset     -> take() -> bytes to the peer

Owns how a connection begins and ends, and what its user may do with streams. Its user calls `take`
until that gives nothing, after each call of `receive`, `tick` and all that sends, but only while
its transport takes more: what is not taken is bounded here, and what a transport holds is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from cluster.etcd.http2 import frames
from cluster.etcd.http2.codes import CANCEL, ENHANCE_YOUR_CALM, NO_ERROR, Http2Error
from cluster.etcd.http2.ending import Endings
from cluster.etcd.http2.fields import Field
from cluster.etcd.http2.floods import Floods
from cluster.etcd.http2.handler import Handler
from cluster.etcd.http2.headers import encode_block
from cluster.etcd.http2.limits import GOAWAY_GRACE_MS, LIMITS, Limits
from cluster.etcd.http2.memory import ConnectionShare, Memory
from cluster.etcd.http2.receiving import Receiver
from cluster.etcd.http2.sending import Sender
from cluster.etcd.http2.settings import own_settings
from cluster.etcd.http2.streams import Http2Stream, Streams
from cluster.etcd.http2.windows import INITIAL_WINDOW_BYTES

KEEPALIVE_PING = b"are you?"
LAST_CALL_PING = b"lastcall"
"""Payloads of our own pings, eight bytes each."""

Headers: TypeAlias = Sequence[Field] | bytes
"""A header list, or the block that `encode_block` has made of it: to make one takes 20 us."""


class ServerConnection:
    """One connection. `is_closed`: write what `take` still gives, then close the transport."""

    def __init__(
        self, handler: Handler, limits: Limits = LIMITS, memory: Memory | None = None
    ) -> None:
        self._handler = handler
        self._limits = limits
        self._streams = Streams()
        self._floods = Floods(limits)
        self._sender = Sender(limits, self._floods)
        self._endings = Endings(handler, self._streams, self._sender, self._floods)
        # A connection that shares its memory with none is for tests and measurements.
        self._load = ConnectionShare(limits, self._streams, self._sender, memory or Memory())
        self._receiver = Receiver(
            handler, limits, self._streams, self._sender, self._endings, self._load
        )
        self._opened_ms: int | None = None
        self._heard_ms = 0
        self._pinged_ms: int | None = None
        self._is_leaving = False
        self._last_call_ms: int | None = None
        self.is_closed = False
        self.close_reason = ""
        self._sender.put(own_settings(limits))
        more = limits.connection_window_bytes - INITIAL_WINDOW_BYTES
        if more > 0:
            self._sender.put(frames.window_update(0, more))

    @property
    def streams(self) -> int:
        """Open streams."""
        return len(self._streams.open)

    @property
    def is_clogged(self) -> bool:
        """Whether the peer leaves many answers unread, so that its user should ask for no more."""
        return self._load.is_clogged

    @property
    def has_time(self) -> bool:
        """Whether what is to be written may wait for PONG_WAIT_MS: an answer will come behind it.

        grpc-go sends a PING beside nearly every request that it makes one at a time. To answer it
        with the request spares each side a piece to send, and one to read.
        """
        return self._sender.has_only_pongs and self._streams.unanswered > 0

    def keep(self, count: int) -> None:
        """The user holds bytes for this peer: parts of an answer, say; below zero, no longer."""
        self._load.keep(count)

    # --- from and to the peer -------------------------------------------------------------------

    def receive(self, data: bytes, now_ms: int) -> None:
        """Bytes of the peer, at this time of a clock that never goes back."""
        if self.is_closed:
            return
        if self._opened_ms is None:
            self._opened_ms = now_ms
        self._heard_ms = now_ms
        self._pinged_ms = None
        self._floods.at(now_ms)
        try:
            self._receiver.feed(data)
        except Http2Error as fault:
            self._fail(fault.code, fault.reason)
            return
        if self._is_leaving:
            self._leave(now_ms)
        self._load.settle()

    def take(self) -> bytes:
        """Bytes to write now; nothing if there are none, or if no window is open."""
        sender = self._sender
        taken = sender.take()
        if not taken and not self._is_leaving:
            return taken
        if sender.finished:
            finished, sender.finished = sender.finished, []
            for stream in finished:
                self._finish(stream)
        if sender.drained:
            drained, sender.drained = sender.drained, []
            for stream in drained:
                if stream.is_open:
                    self._handler.on_drained(stream)
        if self._is_leaving:
            self._maybe_leave()
        self._load.settle()
        return taken

    # --- answers ----------------------------------------------------------------------------------

    def unary(
        self, stream: Http2Stream, headers_block: bytes, data: bytes, trailers_block: bytes
    ) -> None:
        """A whole answer, with blocks of `encode_block`. For a closed stream it is dropped."""
        if not stream.is_open:
            return
        if (
            stream.ended
            and self._load.may_queue(len(data))
            and self._sender.whole(stream, headers_block, data, trailers_block)
        ):
            self._streams.remove(stream)
            self._floods.answered()
            return
        self._respond(stream, headers_block, end=False)
        self._send(stream, data, end=True, trailers=trailers_block)

    def unary_in_parts(
        self,
        stream: Http2Stream,
        headers_block: bytes,
        parts: Sequence[bytes],
        trailers_block: bytes,
    ) -> None:
        """As `unary`, for data too long to be one piece: all of it is queued, or nothing."""
        if not stream.is_open:
            return
        self._respond(stream, headers_block, end=False)
        if not self._load.may_queue(sum(map(len, parts))):
            self._refuse(stream)
            return
        for part in parts:
            self._sender.enqueue(stream, part, end=False, trailers=None)
        self._sender.enqueue(stream, b"", end=True, trailers=trailers_block)

    def respond(self, stream: Http2Stream, headers: Headers, *, end: bool = False) -> None:
        """The answer's header list, which may be all of it."""
        if stream.is_open:
            self._respond(stream, _block_of(headers), end=end)

    def send(self, stream: Http2Stream, data: bytes, *, end: bool = False) -> None:
        """Data of the answer, behind what is queued."""
        if stream.is_open:
            self._send(stream, data, end=end, trailers=None)

    def trailers(self, stream: Http2Stream, headers: Headers) -> None:
        """The end of the answer, behind what is queued."""
        if stream.is_open:
            self._send(stream, b"", end=True, trailers=_block_of(headers))

    def _respond(self, stream: Http2Stream, block: bytes, *, end: bool) -> None:
        assert not stream.is_answered, "a stream is answered once"
        self._streams.answered(stream)
        self._floods.answered()
        self._sender.headers(stream, block, end=end)
        if end:
            self._finish(stream)

    def _send(self, stream: Http2Stream, data: bytes, *, end: bool, trailers: bytes | None) -> None:
        assert stream.is_answered, "headers come first"
        assert stream.outbox is None or not stream.outbox.ends, "nothing comes behind the end"
        if data and not self._load.may_queue(len(data)):
            self._refuse(stream)
            return
        self._sender.enqueue(stream, data, end=end, trailers=trailers)

    def _refuse(self, stream: Http2Stream) -> None:
        """The peer asks for more than it reads: it is told on the stream that is one too many."""
        self.reset(stream, ENHANCE_YOUR_CALM)
        self._handler.on_reset(stream, ENHANCE_YOUR_CALM)

    def _finish(self, stream: Http2Stream) -> None:
        """The last frame has been made; a peer that still sends may stop (RFC 9113, 8.1)."""
        if not stream.is_open:
            return
        if stream.ended:
            self._endings.close(stream)
        else:
            self.reset(stream, NO_ERROR)

    def reset(self, stream: Http2Stream, code: int) -> None:
        """Close a stream; the handler is not told."""
        if stream.is_open:
            self._sender.put(frames.rst_stream(stream.id, code))
            self._streams.remember_reset(stream.id)
            self._endings.close(stream)

    def queued(self, stream: Http2Stream) -> int:
        """Bytes that wait to be sent on a stream."""
        return stream.outbox.size if stream.outbox is not None else 0

    def consumed(self, stream: Http2Stream, count: int) -> None:
        """These bytes of a request that goes on have been used up.

        A stream that is not `auto` gets its window back by this; on others, the bytes no longer
        count against what a request may hold. Without effect on a request that has ended.
        """
        inflow = stream.inflow
        if not stream.is_open or stream.ended or inflow is None:
            return
        count = min(count, stream.held)
        self._streams.hold(stream, -count)
        inflow.held = max(0, inflow.held - count)
        increment = inflow.give_back()
        if increment:
            self._sender.put(frames.window_update(stream.id, increment))

    # --- how a connection ends ----------------------------------------------------------------

    def go_away(self, code: int = NO_ERROR, reason: str = "going away") -> None:
        """Take no new streams: with NO_ERROR the others may end, with another code all end now.

        The peer is told twice (RFC 9113, 6.8): first that there will be a last stream, and when it
        has answered a ping, which one: so requests under way towards this side are served.
        """
        if self.is_closed:
            return
        if code != NO_ERROR or not self._receiver.control.has_settings:
            self._fail(code, reason)
        elif not self._is_leaving:
            self._is_leaving = True
            self.close_reason = reason
            self._sender.put(frames.goaway(frames.STREAM_ID_MAX, NO_ERROR, reason))
            self._sender.put(frames.ping(LAST_CALL_PING))

    def lose(self, reason: str = "connection lost") -> None:
        """The transport is gone: the handler is told of each stream, and nothing is kept."""
        self._sender.drop()
        if not self.is_closed:
            self._close(CANCEL, reason)
        self._load.settle()

    def _leave(self, now_ms: int) -> None:
        """Go on with a graceful end: name the last stream, then wait until all have ended."""
        receiver = self._receiver
        if receiver.final_id is None:
            if self._last_call_ms is None:
                self._last_call_ms = now_ms + GOAWAY_GRACE_MS
            if receiver.control.acked_ping != LAST_CALL_PING and now_ms < self._last_call_ms:
                return
            receiver.final_id = self._streams.last_id
            self._sender.put(frames.goaway(receiver.final_id, NO_ERROR, self.close_reason))
        self._maybe_leave()

    def _maybe_leave(self) -> None:
        if self._receiver.final_id is not None and not self._streams.open:
            self.is_closed = self._receiver.is_stopped = True

    def _fail(self, code: int, reason: str) -> None:
        """A connection error (RFC 9113, 5.4.1)."""
        self._sender.put(frames.goaway(self._streams.last_id, code, reason))
        self._close(code, reason)

    def _close(self, code: int, reason: str) -> None:
        self.is_closed = self._receiver.is_stopped = True
        self.close_reason = reason
        for stream in list(self._streams.open.values()):
            self._endings.close(stream)
            self._handler.on_reset(stream, code)
        self._load.settle()

    # --- time -------------------------------------------------------------------------------------

    @property
    def next_tick_ms(self) -> int | None:
        """When `tick` may have something to do; None before the first byte and at the end."""
        if self.is_closed or self._opened_ms is None:
            return None
        if self._is_leaving:
            if self._receiver.final_id is not None:
                return None
            return self._heard_ms if self._last_call_ms is None else self._last_call_ms
        if not self._receiver.control.has_settings:
            return self._opened_ms + self._limits.preface_timeout_ms
        if self._pinged_ms is not None:
            return self._pinged_ms + self._limits.keepalive_timeout_ms
        return self._heard_ms + self._limits.keepalive_interval_ms

    def tick(self, now_ms: int) -> None:
        """Notice what has not come in time."""
        if self.is_closed or self._opened_ms is None:
            return
        limits = self._limits
        if self._is_leaving:
            self._leave(now_ms)
        elif not self._receiver.control.has_settings:
            if now_ms >= self._opened_ms + limits.preface_timeout_ms:
                self._fail(NO_ERROR, "no preface in time")
        elif self._pinged_ms is not None:
            if now_ms >= self._pinged_ms + limits.keepalive_timeout_ms:
                self._fail(NO_ERROR, "no answer to a ping in time")
        elif now_ms >= self._heard_ms + limits.keepalive_interval_ms:
            self._pinged_ms = now_ms
            self._sender.put(frames.ping(KEEPALIVE_PING))


def _block_of(headers: Headers) -> bytes:
    return headers if isinstance(headers, bytes) else encode_block(headers)
