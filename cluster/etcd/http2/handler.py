"""What an HTTP/2 connection tells its user. Owns the calls, and refuses to know what they do."""

from __future__ import annotations

from typing import Protocol

from cluster.etcd.http2.streams import Http2Stream


class Handler(Protocol):
    """What a server does with requests. Each request ends with a call that has `stream.ended`
    (`on_data`, or `on_end` where no data comes with the end), or with `on_reset`."""

    def on_request(self, stream: Http2Stream) -> None:
        """The request's header block is complete; `on_end` follows if that is all of it."""

    def on_data(self, stream: Http2Stream, data: bytes) -> None:
        """A part of the request's body, never empty."""

    def on_end(self, stream: Http2Stream) -> None:
        """The request has ended without more data."""

    def on_reset(self, stream: Http2Stream, code: int) -> None:
        """The peer, a limit, or the end of the connection has closed the stream."""

    def on_drained(self, stream: Http2Stream) -> None:
        """What was queued for the stream has fallen to the low mark."""
