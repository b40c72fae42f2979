"""A client of HTTP/1.1, as little as etcd's gateway needs: POST on one connection that stays.

A fraction of what the standard library's costs, which reads headers as if they were mail. Knows
nothing of what the bodies mean.
"""

from __future__ import annotations

import socket
from typing import Final

RECEIVE_BYTES: Final = 1 << 16
END_OF_HEAD: Final = b"\r\n\r\n"
END_OF_LINE: Final = b"\r\n"


class BrokenError(ConnectionError):
    """The server has ended the connection, or speaks something else."""


class Link:
    """One connection, made when it is first needed; one request at a time."""

    def __init__(self, host: str, port: int, timeout_seconds: float) -> None:
        self._address = (host, port)
        self._timeout_seconds = timeout_seconds
        self._socket: socket.socket | None = None
        self._received = b""

    def post(self, path: str, body: bytes) -> None:
        """Send a request; `answer` is next."""
        head = f"POST {path} HTTP/1.1\r\nHost: etcd\r\nContent-Length: {len(body)}\r\n\r\n"
        if self._socket is None:
            self._socket = socket.create_connection(self._address, self._timeout_seconds)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(head.encode() + body)

    def answer(self) -> bytes:
        """The body of the answer, whatever its status."""
        head = self._until(END_OF_HEAD).lower()
        _, found, rest = head.partition(b"content-length:")
        if found:
            return self._take(int(rest.split(END_OF_LINE, 1)[0]))
        if b"transfer-encoding: chunked" not in head:
            raise BrokenError(f"an answer without an end: {head!r}")
        chunks = []
        while size := int(self._until(END_OF_LINE), 16):
            chunks.append(self._take(size))
            self._until(END_OF_LINE)
        self._until(END_OF_LINE)  # no trailers
        return b"".join(chunks)

    def close(self) -> None:
        """End the connection; the next request makes another."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._received = b""

    def _until(self, end: bytes) -> bytes:
        while end not in self._received:
            self._fill()
        found, _, self._received = self._received.partition(end)
        return found

    def _take(self, size: int) -> bytes:
        parts = [self._received]
        missing = size - len(self._received)
        while missing > 0:
            self._received = b""
            self._fill()
            parts.append(self._received)
            missing -= len(self._received)
        whole = b"".join(parts)
        self._received = whole[size:]
        return whole[:size]

    def _fill(self) -> None:
        assert self._socket is not None, "nothing was asked"
        data = self._socket.recv(RECEIVE_BYTES)
        if not data:
            raise BrokenError("the connection was closed")
        self._received += data
