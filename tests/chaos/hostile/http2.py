"""HTTP/2 by hand, for what no library would send: a connection, and the frames of a request.

Knows frames, and what a front says in its own; not what is done with them.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Final, Self

from cluster.etcd.rpc.schema import message_class
from tests.chaos.hostile.zmtp import READ_BYTES, Connection
from tests.cluster.etcd.http2.raw import FIELDS, HEADER_BYTES, PREFACE, block, frame, settings

DATA, HEADERS, RST_STREAM, GOAWAY = 0, 1, 3, 7
END_STREAM, END_HEADERS = 1, 4

WINDOW_MAX: Final = 0x7FFF_FFFF
CODES: Final = (
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
)
"""The names of the error codes (RFC 9113, 7)."""

CLOSED: Final = "closed by the front"
LEFT_OPEN: Final = "left open"


OPENING: Final = PREFACE + settings({4: WINDOW_MAX})
"""What a client says first: here it takes answers of any size."""


class Http2Connection:
    """A connection that has said how it begins; OSError (and TimeoutError) when that is refused."""

    def __init__(self, connection: Connection, opening: bytes = OPENING) -> None:
        self.socket = connection.socket
        try:
            self.send(opening)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> None:
        """Send bytes as they are; TimeoutError if the front takes none of them for a while."""
        self.socket.sendall(b"".join(parts))

    def heard(self, seconds: float) -> Counter[str]:
        """What the front says until it closes the connection, or until this time is over."""
        seen: Counter[str] = Counter()
        until = time.monotonic() + seconds
        received = b""
        try:
            while (left := until - time.monotonic()) > 0:
                self.socket.settimeout(left)
                data = self.socket.recv(READ_BYTES)
                if not data:
                    seen[CLOSED] += 1
                    return seen
                received = _count(received + data, seen)
        except TimeoutError:
            pass
        except OSError:
            seen[CLOSED] += 1
            return seen
        seen[LEFT_OPEN] += 1
        return seen


def _count(received: bytes, seen: Counter[str]) -> bytes:
    """Count the frames of interest; what is left is the beginning of the next one."""
    while len(received) >= HEADER_BYTES:
        size, kind = int.from_bytes(received[:3], "big"), received[3]
        end = HEADER_BYTES + size
        if len(received) < end:
            break
        payload, received = received[HEADER_BYTES:end], received[end:]
        if kind == HEADERS:
            seen["answered"] += 1
        elif kind == RST_STREAM:
            seen[f"RST_STREAM {_code(payload)}"] += 1
        elif kind == GOAWAY:
            seen[f"GOAWAY {_code(payload[4:])}"] += 1
    return received


def _code(payload: bytes) -> str:
    code = int.from_bytes(payload[:4], "big")
    return CODES[code] if code < len(CODES) else str(code)


def head(stream_id: int, header_block: bytes, flags: int = END_HEADERS) -> bytes:
    """HEADERS with a block that is made already."""
    return frame(HEADERS, flags, stream_id, header_block)


def path_block(path: str, *more: tuple[str, str]) -> bytes:
    """The header block of a call of gRPC."""
    fields = [(name, path if name == ":path" else value) for name, value in FIELDS]
    return block([*fields, *more])


def message_of(kind: str, **fields: object) -> bytes:
    """A message of etcd with gRPC's prefix."""
    payload = message_class(f"etcdserverpb.{kind}")(**fields).SerializeToString()
    return b"\0" + len(payload).to_bytes(4, "big") + payload
