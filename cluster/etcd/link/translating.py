"""Translating: a ZeroMQ client that came inside TLS is let in at a node where clients have keys.

The client speaks ZMTP without a mechanism (NULL), because TLS has sealed its connection already.
The node knows its front by a password (PLAIN). The handshakes of both differ in two greetings and
two commands, which are translated here; all that follows is passed on as it is. The node asks each
request for its user, as those of gRPC. Refuses to know sockets.
"""

from __future__ import annotations

from typing import Final

from cluster.etcd.link.zmtp import (
    COMMAND_BYTES_MAX,
    GREETING_BYTES,
    MECHANISM_AT,
    MECHANISM_BYTES,
    NULL,
    VERSION_AT,
    ZmtpError,
    command,
    opening,
)

HANDSHAKE_BYTES_MAX: Final = GREETING_BYTES + 2 * COMMAND_BYTES_MAX
"""A client that says more before the node has welcomed it does not wait for its turn."""

_READY: Final = b"\x05READY"
_INITIATE: Final = b"\x08INITIATE"
_WELCOME: Final = b"\x07WELCOME"
_SHORT_COMMAND, _LONG_COMMAND = 0x04, 0x06
_SHORT_HEAD, _LONG_HEAD = 2, 9


class TranslatedHandshake:
    """The handshake of one client; `opening` is for the node. Its methods raise ZmtpError."""

    def __init__(self, password: str) -> None:
        self.opening = opening(password)
        # What has come of each side, and is not passed on yet.
        self._of_client = self._of_node = b""
        self._is_greeted = self._is_welcome = self._is_introduced = self._is_answered = False

    @property
    def is_over(self) -> bool:
        """Whether all that comes from now on is passed on as it is."""
        return self._is_introduced and self._is_answered

    def client_says(self, data: bytes) -> bytes:
        """What the client says; the bytes for the node."""
        if self._is_introduced:
            return data
        self._of_client += data
        if len(self._of_client) > HANDSHAKE_BYTES_MAX:
            raise ZmtpError("the client says too much before it is welcome")
        return self._introduced() if self._is_welcome else b""

    def node_says(self, data: bytes) -> tuple[bytes, bytes]:
        """What the node says; the bytes for the client, and those for the node."""
        if self._is_answered:
            return data, b""
        self._of_node += data
        greeting = b""
        if not self._is_greeted:
            if len(self._of_node) < GREETING_BYTES:
                return b"", b""
            greeting, self._of_node = (
                _without_mechanism(self._of_node),
                self._of_node[GREETING_BYTES:],
            )
            self._is_greeted = True
        stop, body = _command_in(self._of_node)
        if not stop:
            return greeting, b""
        self._is_answered = True
        if body != _WELCOME:  # an error, which the client understands
            return greeting + self._of_node, b""
        self._is_welcome = True
        return greeting + self._of_node[stop:], self._introduced()

    def _introduced(self) -> bytes:
        """The client's properties as the node wants them, and what came behind them; nothing while
        they are not complete."""
        said = self._of_client
        if len(said) < GREETING_BYTES:
            return b""
        mechanism = said[MECHANISM_AT : MECHANISM_AT + MECHANISM_BYTES]
        if said[VERSION_AT] < 3 or mechanism != NULL:
            raise ZmtpError("the client speaks another ZMTP, or seals what TLS has sealed")
        stop, body = _command_in(said[GREETING_BYTES:])
        if not stop:
            return b""
        if not body.startswith(_READY):
            raise ZmtpError("the client does not say what it is")
        self._is_introduced = True
        properties, rest = body[len(_READY) :], said[GREETING_BYTES + stop :]
        return command(_INITIATE + properties) + rest


def _without_mechanism(greeting: bytes) -> bytes:
    """The node's greeting as that of a server without a mechanism."""
    return (greeting[:MECHANISM_AT] + NULL).ljust(GREETING_BYTES, b"\0")


def _command_in(data: bytes) -> tuple[int, bytes]:
    """Where the command at the beginning ends, and its body; 0 while it is not complete."""
    if not data:
        return 0, b""
    if data[0] not in (_SHORT_COMMAND, _LONG_COMMAND):
        raise ZmtpError("a message before the handshake is over")
    start = _LONG_HEAD if data[0] == _LONG_COMMAND else _SHORT_HEAD
    if len(data) < start:
        return 0, b""
    size = int.from_bytes(data[1:start], "big")
    if size > COMMAND_BYTES_MAX:
        raise ZmtpError(f"a command of {size} bytes, where the limit is {COMMAND_BYTES_MAX}")
    stop = start + size
    return (stop, data[start:stop]) if len(data) >= stop else (0, b"")
