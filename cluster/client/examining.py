"""Who is at an endpoint that shakes no hands: a look outside the I/O thread, for error texts.

libzmq only says that there was no handshake. So a thread of its own connects once more, greets as
ZeroMQ does, and if that is not answered asks for a web page.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from cluster.client.waker import Waker

LOOK_SECONDS: Final = 0.5
"""How long each of the two questions waits for its answer."""

NO_HANDSHAKE: Final = "no Leasehold node answers there"
KEY_WANTED: Final = f"{NO_HANDSHAKE}, or it wants its key named, as HOST:PORT#KEY"
CERTIFICATE_WANTED: Final = f"{NO_HANDSHAKE}, or it wants another certificate"
"""Also a node that refuses a certificate just closes, if its reason comes behind its end."""

OTHER_KEY: Final = "no node with the key of the endpoint answers there"

SPEAKS_HTTP: Final = f"{NO_HANDSHAKE}: it speaks HTTP"
SPEAKS_TLS: Final = f"{NO_HANDSHAKE}: it speaks TLS, so the endpoint needs https://"
SAYS_NOTHING: Final = f"{NO_HANDSHAKE}: it takes connections and says nothing"
FOREIGN_SOCKET: Final = f"{NO_HANDSHAKE}: it is a ZeroMQ socket of another program"

GREETING: Final = b"\xff\0\0\0\0\0\0\0\1\x7f\3\1"
"""How ZMTP's greeting begins: signature and version. The rest is not said: libzmq would close at
once where it wants another mechanism, and its own greeting would be lost."""

GREETING_BYTES: Final = 64

MECHANISM: Final = slice(12, 32)
PAGE_WANTED: Final = b"GET / HTTP/1.0\r\n\r\n"
TLS_RECORDS: Final = (b"\x15", b"\x16")
"""What TLS answers in the clear begins with: an alert, or a handshake."""


class Examined(NamedTuple):
    """What was found at an endpoint."""

    name: str
    reason: str


class Examiner:
    """Looks under way; wakes the I/O thread, to which it belongs, when one is done."""

    def __init__(self, waker: Waker) -> None:
        self._waker = waker
        self._done: deque[Examined] = deque()

    def begin(self, name: str, host: str, port: int) -> None:
        """Look who is there."""
        threading.Thread(
            target=self._look, args=(name, host, port), name="leasehold-examiner", daemon=True
        ).start()

    def take(self) -> Iterator[Examined]:
        """The looks that have ended since the last call."""
        while self._done:
            yield self._done.popleft()

    def _look(self, name: str, host: str, port: int) -> None:
        self._done.append(Examined(name, examine(host, port)))
        self._waker.wake()


def examine(host: str, port: int) -> str:
    """The reason for which nobody shakes hands at a numeric address."""
    said = _answer(host, port, GREETING)
    if said.startswith(GREETING[:1]):
        is_open = said[MECHANISM].rstrip(b"\0") == b"NULL"
        return FOREIGN_SOCKET if is_open else KEY_WANTED
    if not said:
        said = _answer(host, port, PAGE_WANTED)
    if said.startswith(TLS_RECORDS):
        return SPEAKS_TLS
    if said:
        return SPEAKS_HTTP if said.startswith((b"HTTP/", b"<")) else NO_HANDSHAKE
    return SAYS_NOTHING


def _answer(host: str, port: int, question: bytes) -> bytes:
    """What is answered in time, up to the length of a greeting."""
    import socket  # noqa: PLC0415 - only where nobody shakes hands

    said = b""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as asking:
            asking.settimeout(LOOK_SECONDS)
            asking.connect((host, port))
            asking.sendall(question)
            while len(said) < GREETING_BYTES and (piece := asking.recv(GREETING_BYTES)):
                said += piece
    except OSError:
        return said  # late, or it has closed: what it said until then counts
    return said
