"""A WebSocket client (RFC 6455) of text messages, as little as a stream of etcd's gateway needs.

Owns one TCP connection. Knows nothing of what the messages mean.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from base64 import b64encode
from typing import Final

FINAL_TEXT: Final = 0x81
FINAL: Final = 0x80
MASKED: Final = 0x80
OPCODE: Final = 0x0F
CLOSE: Final = 0x8
TWO_BYTES: Final = 126
EIGHT_BYTES: Final = 127
RECEIVE_BYTES: Final = 1 << 16


class ClosedError(ConnectionError):
    """The server has ended the connection, or refused it."""


class WebSocket:
    """One connection; `receive` gives whole messages."""

    def __init__(self, host: str, port: int, path: str, timeout_seconds: float) -> None:
        self._socket = socket.create_connection((host, port), timeout_seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self._fragments = bytearray()
        key = b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._received:
            self._fill()
        head, _, rest = bytes(self._received).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise ClosedError(head.decode(errors="replace"))
        self._received = bytearray(rest)

    def send(self, message: bytes) -> None:
        """Send one text message."""
        length = len(message)
        if length < TWO_BYTES:
            head = struct.pack(">BB", FINAL_TEXT, MASKED | length)
        else:
            head = struct.pack(">BBQ", FINAL_TEXT, MASKED | EIGHT_BYTES, length)
        # A mask of zeros is a mask: it hides nothing, and nothing here is a secret.
        self._socket.sendall(head + bytes(4) + message)

    def receive(self, timeout_seconds: float) -> list[bytes]:
        """The messages that have come, waited for if there are none; none after the time-out."""
        messages = self._messages()
        if not messages and select.select([self._socket], [], [], timeout_seconds)[0]:
            self._fill()
            messages = self._messages()
        return messages

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def _fill(self) -> None:
        data = self._socket.recv(RECEIVE_BYTES)
        if not data:
            raise ClosedError("the connection was closed")
        self._received += data

    def _messages(self) -> list[bytes]:
        messages = []
        while (frame := self._frame()) is not None:
            head, payload = frame
            if head & OPCODE == CLOSE:
                raise ClosedError("the stream was ended")
            if head & OPCODE > CLOSE:
                continue  # pings and pongs: a program is too short to be missed
            self._fragments += payload
            if head & FINAL:
                messages.append(bytes(self._fragments))
                self._fragments.clear()
        return messages

    def _frame(self) -> tuple[int, bytes] | None:
        """The next frame's first byte and payload, if all of it is here; servers do not mask."""
        received = self._received
        if len(received) < 2:
            return None
        start, length = 2, received[1]
        if length == TWO_BYTES:
            start = 4
        elif length == EIGHT_BYTES:
            start = 10
        if len(received) < start:
            return None
        if start > 2:
            length = int.from_bytes(received[2:start], "big")
        if len(received) < start + length:
            return None
        head, payload = received[0], bytes(received[start : start + length])
        del received[: start + length]
        return head, payload
