"""The client's side of one ZMTP 3.1 connection: a DEALER that talks to a ROUTER.

With a password it speaks the mechanism PLAIN, else NULL: neither hides anything.

It turns bytes into messages and messages into bytes, and answers the peer's heartbeats. It refuses
to know sockets, time, and what a message says. Only messages of one frame are spoken: a node sends
no others to a client that sends none. https://rfc.zeromq.org/spec/37/ has the frames.
"""

from __future__ import annotations

from typing import Final

GREETING_BYTES: Final = 64
COMMAND_BYTES_MAX: Final = 1_024
"""A command of the peer: its properties, an error's text, a heartbeat."""

SHORT_BYTES_MAX: Final = 255
"""A frame of up to this size has a header of two bytes, a longer one of nine."""

_MORE: Final = 0x01
_LONG: Final = 0x02
_COMMAND: Final = 0x04
_KNOWN_FLAGS: Final = _MORE | _LONG | _COMMAND
_PLAIN: Final = frozenset({0, _LONG})
_SHORT_HEAD, _LONG_HEAD = 2, 9

_SIGNATURE: Final = b"\xff\0\0\0\0\0\0\0\x01\x7f"
_VERSION: Final = b"\x03\x01"
VERSION_AT: Final = len(_SIGNATURE)
MECHANISM_BYTES: Final = 20
NULL: Final = b"NULL".ljust(MECHANISM_BYTES, b"\0")
_PLAIN_TEXT: Final = b"PLAIN".ljust(MECHANISM_BYTES, b"\0")
MECHANISM_AT: Final = VERSION_AT + len(_VERSION)
_PROPERTIES: Final = b"\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0"
_READY: Final = b"\x05READY" + _PROPERTIES
_INITIATE: Final = b"\x08INITIATE" + _PROPERTIES
_NAME: Final = b"front"
"""Under which a front is known to its node (cluster.client_lock)."""


class ZmtpError(Exception):
    """The peer has broken the protocol, or has refused the connection; the message says how."""


def frame(payload: bytes) -> bytes:
    """A message of one frame."""
    size = len(payload)
    if size <= SHORT_BYTES_MAX:
        return b"\0%c%b" % (size, payload)
    return b"\x02%b%b" % (size.to_bytes(8, "big"), payload)


def opening(password: str = "") -> bytes:
    """What a client sends first: its greeting, and what kind of socket it is, or its password.

    The peer reads one after the other, so neither of them waits for the peer. But a message may
    come only when the peer is ready: libzmq refuses one that comes before it has said so.
    """
    mechanism = _PLAIN_TEXT if password else NULL
    greeting = (_SIGNATURE + _VERSION + mechanism).ljust(GREETING_BYTES, b"\0")
    if not password:
        return greeting + command(_READY)
    said = password.encode()
    return greeting + command(b"\x05HELLO%c%b%c%b" % (len(_NAME), _NAME, len(said), said))


class Dealer:
    """The incoming half of a connection; `is_ready` once the peer has introduced itself.

    `to_send` has the answers to the peer that are not sent yet; its owner sends and clears it.
    """

    def __init__(self, frame_bytes_max: int, password: str = "") -> None:
        self.is_ready = False
        self._mechanism = _PLAIN_TEXT if password else NULL
        self.to_send = b""
        self._frame_bytes_max = frame_bytes_max
        self._is_greeted = False
        # The beginning of what is not complete, in pieces, and the bytes that it lacks at least.
        # Joined only when these have come, so that a large frame is not copied for each piece.
        self._pieces: list[bytes] = []
        self._lacking = 0

    def receive(self, data: bytes) -> list[bytes]:
        """Take bytes; the messages that they complete. Raises ZmtpError."""
        if self._pieces:
            self._pieces.append(data)
            if len(data) < self._lacking:
                self._lacking -= len(data)
                return []
            data = b"".join(self._pieces)
            self._pieces.clear()
        at = 0
        if not self._is_greeted:
            at = self._greet(data)
            if not self._is_greeted:
                return []
        return self._frames(data, at)

    def _frames(self, data: bytes, at: int) -> list[bytes]:
        """The messages from a place in the data on, where a frame begins."""
        messages: list[bytes] = []
        end = len(data)
        while at < end:
            flags = data[at]
            start = at + (_LONG_HEAD if flags & _LONG else _SHORT_HEAD)
            if start > end:
                self._keep(data[at:], start - end)
                break
            size = int.from_bytes(data[at + 1 : start], "big")
            if flags not in _PLAIN or size > self._frame_bytes_max:
                self._check(flags, size)
            stop = start + size
            if stop > end:
                self._keep(data[at:], stop - end)
                break
            if flags & _COMMAND:
                self._obey(data[start:stop])
            elif self.is_ready:
                messages.append(data[start:stop])
            else:
                raise ZmtpError("a message before the peer is ready")
            at = stop
        return messages

    def _keep(self, beginning: bytes, lacking: int) -> None:
        self._pieces.append(beginning)
        self._lacking = lacking

    def _greet(self, data: bytes) -> int:
        """The size of the peer's greeting; 0 while it is not complete."""
        if data[:1] not in {b"", b"\xff"} or data[9:10] not in {b"", b"\x7f"}:
            raise ZmtpError("the peer does not speak ZMTP")
        if data[VERSION_AT : VERSION_AT + 1] not in {b"", b"\x03"}:
            raise ZmtpError("the peer does not speak ZMTP 3")
        if len(data) < GREETING_BYTES:
            self._keep(data, GREETING_BYTES - len(data))
            return 0
        if data[MECHANISM_AT : MECHANISM_AT + MECHANISM_BYTES] != self._mechanism:
            name = self._mechanism.rstrip(b"\0").decode()
            raise ZmtpError(f"the peer wants another security mechanism than {name}")
        self._is_greeted = True
        return GREETING_BYTES

    def _check(self, flags: int, size: int) -> None:
        """Raise what is wrong with a frame's header, if anything is."""
        if flags & ~_KNOWN_FLAGS or (flags & _COMMAND and flags & _MORE):
            raise ZmtpError(f"a frame with flags {flags:#04x}")
        if flags & _MORE:
            raise ZmtpError("a message of several frames")
        limit = COMMAND_BYTES_MAX if flags & _COMMAND else self._frame_bytes_max
        if size > limit:
            raise ZmtpError(f"a frame of {size} bytes, where the limit is {limit}")

    def _obey(self, body: bytes) -> None:
        """Follow a command. Unknown ones are ignored, as later versions may have more."""
        size = body[0] if body else 0
        name, rest = body[1 : 1 + size], body[1 + size :]
        if name == b"READY":
            if b"\x06ROUTER" not in rest:
                raise ZmtpError("the peer is not a ROUTER")
            self.is_ready = True
        elif name == b"WELCOME":
            self.to_send += command(_INITIATE)
        elif name == b"PING":
            self.to_send += command(b"\x04PONG" + rest[2:])  # without the two bytes of its TTL
        elif name == b"ERROR":
            raise ZmtpError(f"the peer refuses: {rest[1:].decode(errors='replace')}")


def command(body: bytes) -> bytes:
    """A command as a frame."""
    if len(body) <= SHORT_BYTES_MAX:
        return b"\x04%c%b" % (len(body), body)
    return b"\x06%b%b" % (len(body).to_bytes(8, "big"), body)


PONG: Final = command(b"\x04PONG")
"""The answer to a heartbeat without a context of its own."""
