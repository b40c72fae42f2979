"""What hostile clients of HTTP/1.1 do at a front, and those that say nothing at all."""

from __future__ import annotations

import base64
import json
import re
import socket
from contextlib import ExitStack
from typing import Final

from tests.chaos.hostile.http2 import CLOSED, LEFT_OPEN
from tests.chaos.hostile.intruder import Intruder, Kind
from tests.chaos.hostile.on_clients import BULK, FORBIDDEN, HOLD_SECONDS, WAIT_SECONDS
from tests.chaos.hostile.zmtp import READ_BYTES, Connection
from tests.cluster.etcd.http2.raw import PREFACE

PIPELINED: Final = 500
IDLE: Final = 200
SLOW_BYTES: Final = 20
SLOW_SECONDS: Final = 0.2
LONG_BYTES: Final = 256 * 1024
UNREAD: Final = 16

_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d{3})")
_STATUS_BYTES: Final = len(b"HTTP/1.1 200")


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _asking(path: str, document: object) -> bytes:
    """A request of etcd's gateway that is right."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: front\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_HIDDEN: Final = _asking("/v3/kv/put", {"key": _coded(FORBIDDEN), "value": _coded("smuggled")})
"""A request that must never be taken for one."""

ALL_BULK: Final = _asking(
    "/v3/kv/range", {"key": _coded(BULK), "range_end": _coded(BULK[:-1] + "0")}
)

_LINES: Final = (
    "Content-Length: {size}\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: {size}",
    "Content-Length: {size}\r\nContent-Length: 0",
    "Content-Length: 0\r\nContent-Length: {size}",
    "Content-Length: 0, {size}",
    "Content-Length: +{size}",
    "Content-Length: {size}\r\nTransfer-Encoding: xchunked",
    "Content-Length: {size}\r\nTransfer-Encoding : chunked",
    "Content-Length: {size}\r\nTransfer-Encoding:\tchunked",
    "Content-Length: {size}\r\nTransfer-Encoding: chunked, identity",
    "Content-Length: {size}\r\n Transfer-Encoding: chunked",
    "Content-Length: {size}\r\nX: a\rTransfer-Encoding: chunked",
    "Content-Length: {size}\r\nX: a\nTransfer-Encoding: chunked",
    "Content-Length: {size}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Content-Length: 0x{size:x}",
    "Content_Length: 0\r\nContent-Length: {size}",
    "Content-Length: {size}\r\nConnection: Content-Length",
    "Content-Length: {size}\r\nExpect: 100-continue",
    "Content-Length: {size}\r\nUpgrade: h2c\r\nConnection: Upgrade",
)
"""Headers by which two readers may see another end of the body (RFC 9112, 6.3 and 11.2)."""


def smuggling(me: Intruder) -> None:
    """A request within the body of one whose end is told in two ways."""
    lines = me.chance.choice(_LINES)
    inner = me.chance.choice((_HIDDEN, b"0\r\n\r\n" + _HIDDEN, b"1\r\nx\r\n" + _HIDDEN))
    head = f"POST /v3/kv/range HTTP/1.1\r\nHost: front\r\n{lines.format(size=len(inner))}\r\n\r\n"
    _saw(me, head.encode() + inner)


def _saw(me: Intruder, sent: bytes) -> None:
    """Send this, and count the answers."""
    with me.reach_front() as connection:
        connection.send(sent)
        _count_answers(me, connection)


class AnswerCounter:
    """The statuses of a connection's answers, wherever its bytes are cut."""

    def __init__(self) -> None:
        self._kept = b""

    def take(self, data: bytes) -> list[str]:
        """The statuses that these bytes complete."""
        data = self._kept + data
        found = _STATUS.findall(data)
        # What may be the beginning of another: less than a whole one.
        self._kept = data[-(_STATUS_BYTES - 1) :]
        return [status.decode() for status in found]


def _count_answers(me: Intruder, connection: Connection) -> None:
    connection.socket.settimeout(WAIT_SECONDS)
    end, counter = LEFT_OPEN, AnswerCounter()
    try:
        while data := connection.socket.recv(READ_BYTES):
            for status in counter.take(data):
                me.sight.add(f"HTTP {status}")
        end = CLOSED
    except TimeoutError:
        pass
    except OSError:
        end = CLOSED
    me.sight.add(end)


def long_heads(me: Intruder) -> None:
    """Heads and chunks that are too long, and numbers and nestings that no document needs."""
    shape = me.chance.randrange(6)
    if shape == 0:
        made = b"GET /" + b"a" * LONG_BYTES + b" HTTP/1.1\r\nHost: front\r\n\r\n"
    elif shape == 1:
        made = b"GET / HTTP/1.1\r\nHost: front\r\n" + b"X: y\r\n" * 5_000 + b"\r\n"
    elif shape == 2:
        head = b"POST /v3/kv/range HTTP/1.1\r\nHost: front\r\nTransfer-Encoding: chunked\r\n\r\n"
        made = head + b"1;" + b"e" * LONG_BYTES + b"\r\n{\r\n" + b"1\r\n \r\n" * 10_000
    elif shape == 3:
        made = _asking("/v3/kv/range", b'{"a":' * 20_000)
    elif shape == 4:
        made = _asking("/v3/kv/range", b'{"limit":' + b"9" * 100_000 + b"}")
    else:
        size = 1 << me.chance.randrange(20, 70)
        made = f"POST /v3/kv/put HTTP/1.1\r\nHost: front\r\nContent-Length: {size}\r\n\r\n".encode()
        made += b"x" * LONG_BYTES
    _saw(me, made)


def pipelined(me: Intruder) -> None:
    """Very many requests at once, of which no answer is read, or all are."""
    kind = me.chance.choice((ALL_BULK, b"GET /metrics HTTP/1.1\r\nHost: front\r\n\r\n"))
    with me.reach_front(small_buffer=True) as connection:
        connection.send(kind * (UNREAD if kind is ALL_BULK else PIPELINED))
        me.hold(HOLD_SECONDS)
        me.sight.add("left unread")


def slow_http(me: Intruder) -> None:
    """A head or a body that comes a byte at a time, and then not at all."""
    begins_at = me.chance.choice((1, ALL_BULK.index(b"\r\n\r\n") - 30, len(ALL_BULK) - 30))
    with me.reach_front() as connection:
        connection.send(ALL_BULK[:begins_at])
        for byte in ALL_BULK[begins_at : begins_at + SLOW_BYTES]:
            connection.send(bytes([byte]))
            me.hold(SLOW_SECONDS)
        _count_answers(me, connection)


def idle_connections(me: Intruder) -> None:
    """Connections that say nothing, or so little that nobody knows what they speak."""
    with ExitStack() as open_ones:
        for _ in range(IDLE):
            connection = open_ones.enter_context(Connection(me.front_address()))
            connection.send(me.chance.choice((b"", b"P", b"PRI", PREFACE, b"\x16\3\1", b"GET ")))
        me.sight.add("connected", IDLE)
        me.hold(me.chance.uniform(0, HOLD_SECONDS))


def gateway_streams(me: Intruder) -> None:
    """Watches and renewals of the gateway of which nothing is read, and bodies that never end."""
    create = {"create_request": {"key": "AA==", "range_end": "AA==", "start_revision": 1}}
    head = b"POST /v3/watch HTTP/1.1\r\nHost: front\r\nTransfer-Encoding: chunked\r\n\r\n"
    piece = json.dumps(create).encode()
    chunk = b"%x\r\n%b\r\n" % (len(piece), piece)
    with me.reach_front(small_buffer=True) as connection:
        connection.send(head + chunk * me.chance.choice((1, 100, 2_000)))
        connection.socket.shutdown(socket.SHUT_WR if me.chance.random() < 0.2 else socket.SHUT_RD)
        me.hold(HOLD_SECONDS)
        me.sight.add("left unread")


KINDS: Final = (
    Kind("smuggling", smuggling, 0.1),
    Kind("long-heads", long_heads, 0.3),
    Kind("pipelined", pipelined, 0.3),
    Kind("slow-http", slow_http, 0.2),
    Kind("gateway-streams", gateway_streams, 0.3),
    Kind("idle-connections", idle_connections, 0.5),
)
"""Everything that is done to a front by HTTP/1.1, or by silence."""
