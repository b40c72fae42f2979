"""What hostile clients of HTTP/2 do at a front. No act is a write that would be right to accept."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Iterable
from typing import Final

from tests.chaos.hostile.http2 import (
    CLOSED,
    DATA,
    END_STREAM,
    OPENING,
    WINDOW_MAX,
    Http2Connection,
    head,
    message_of,
    path_block,
)
from tests.chaos.hostile.intruder import Intruder, Kind
from tests.chaos.hostile.on_clients import BULK, FORBIDDEN, HOLD_SECONDS, LEASE_MARK, WAIT_SECONDS
from tests.cluster.etcd.http2.raw import (
    FIELDS,
    PREFACE,
    block,
    continuation,
    data,
    frame,
    ping,
    rst_stream,
    settings,
    window_update,
)

ROUNDS: Final = 200
"""A flood ends after this number of parts, if the front has not ended it before."""

STREAMS_A_PART: Final = 100
PARTS_A_LOOK: Final = 10
LOOK_SECONDS: Final = 0.01
FRAMES_A_PART: Final = 1_000
UNREAD_READS: Final = 16
WATCHES: Final = 500
DRIBBLED: Final = 20
DRIBBLE_SECONDS: Final = 0.2
BOMB_BYTES: Final = 16 * 1024 * 1024
BODY_PIECE: Final = bytes(16 * 1024)
BODY_PIECES: Final = 2_000

RANGE: Final = path_block("/etcdserverpb.KV/Range")
PUT: Final = path_block("/etcdserverpb.KV/Put")
WATCH: Final = path_block("/etcdserverpb.Watch/Watch")
KEEP_ALIVE: Final = path_block("/etcdserverpb.Lease/LeaseKeepAlive")
ZIPPED_PUT: Final = path_block("/etcdserverpb.KV/Put", ("grpc-encoding", "gzip"))

ALL_BULK: Final = message_of("RangeRequest", key=BULK.encode(), range_end=b"bulk0")
ALL_CHANGES: Final = message_of(
    "WatchRequest", create_request={"key": b"\0", "range_end": b"\0", "start_revision": 1}
)
REFUSED_PUT: Final = message_of(
    "PutRequest", key=FORBIDDEN.encode(), value=b"x", lease=LEASE_MARK - 1
)
"""A put with a lease that is not there: an honest answer is a refusal."""

_INSERT_4_KIB: Final = b"\x40\x01a\x7f\xe0\x1e" + b"v" * 4_063
"""A field that fills the whole dynamic table (RFC 7541, 6.2.1)."""

_HUFFMAN_256: Final = b"\x10\x01a\xff\x81\x01"
"""A field whose value follows: 256 bytes of Huffman's code (RFC 7541, 6.2.3)."""


def _ids(part: int) -> range:
    """The ids of the streams of one part of a flood."""
    return range(part * 2 * STREAMS_A_PART + 1, (part + 1) * 2 * STREAMS_A_PART + 1, 2)


def _flood(me: Intruder, parts: Iterable[bytes], *, reads: bool = False) -> None:
    """Send the parts one after the other until the front ends that, and count what it says."""
    with Http2Connection(me.reach_front()) as connection:
        try:
            for number, part in enumerate(parts):
                connection.send(part)
                if me.stopping.is_set():
                    break
                if reads and not number % PARTS_A_LOOK:
                    connection.heard(LOOK_SECONDS)
        except TimeoutError:
            me.sight.add("not taken in time")
        except OSError:
            me.sight.add(CLOSED)
        else:
            _saw(me, connection, WAIT_SECONDS)


def _saw(me: Intruder, connection: Http2Connection, seconds: float) -> None:
    for what, count in connection.heard(seconds).items():
        me.sight.add(what, count)


def header_lists(me: Intruder) -> None:
    """Header lists that are too long, have too many fields, or are no request's."""
    shape = me.chance.randrange(4)
    if shape == 0:
        fields = [*FIELDS, ("x", "y" * me.chance.randrange(12_000, 16_000))]
    elif shape == 1:
        fields = [*FIELDS, *[(f"x-{number}", "y") for number in range(700)]]
    elif shape == 2:
        fields = [(name, value.upper()) for name, value in FIELDS] * 20
    else:
        fields = [*FIELDS, ("connection", "close"), ("te", "gzip"), ("Upper", "case")]
    made = block(fields)
    with Http2Connection(me.reach_front()) as connection:
        for number in range(1, 200, 2):
            first, rest = made[:16_000], made[16_000:]
            if rest:
                connection.send(head(number, first, END_STREAM))
                connection.send(continuation(number, rest[:16_000], "END_HEADERS"))
            else:
                connection.send(head(number, first, END_STREAM | 4))
        _saw(me, connection, WAIT_SECONDS)


def endless_headers(me: Intruder) -> None:
    """A header block that never ends: CONTINUATION frames, empty ones or full ones."""
    body = me.chance.choice((b"", b"\x10\x01a\x01b" * 3_000))
    more = continuation(1, body) * (100 if not body else 10)
    _flood(me, itertools.chain([head(1, RANGE, 0)], itertools.repeat(more, ROUNDS)))


def ping_flood(me: Intruder) -> None:
    """PING or SETTINGS, or window updates of one byte, and no request."""
    made = me.chance.choice((ping(), settings({4: 1}), settings({1: 0}), window_update(0, 1)))
    _flood(me, itertools.repeat(made * FRAMES_A_PART, ROUNDS), reads=me.chance.random() < 0.5)


def rapid_resets(me: Intruder) -> None:
    """Requests that are given up at once, by this side or by the front (an update of nothing)."""

    def part(number: int) -> bytes:
        made = []
        for stream_id in _ids(number):
            end = frame(8, 0, stream_id, bytes(4)) if by_front else rst_stream(stream_id)
            request = frame(DATA, END_STREAM, stream_id, ALL_BULK) if whole else b""
            made.append(head(stream_id, RANGE) + request + end)
        return b"".join(made)

    by_front = me.chance.random() < 0.5
    whole = not by_front and me.chance.random() < 0.5
    _flood(me, map(part, range(ROUNDS)), reads=me.chance.random() < 0.5)


def window_overflows(me: Intruder) -> None:
    """Windows that grow beyond what they may, and data beyond the front's windows."""
    shape = me.chance.randrange(4)
    if shape == 0:
        parts = [window_update(0, WINDOW_MAX)] * 2
    elif shape == 1:
        parts = [head(1, PUT), window_update(1, WINDOW_MAX), window_update(1, WINDOW_MAX)]
    elif shape == 2:
        parts = [head(1, PUT), window_update(1, WINDOW_MAX - 70_000), settings({4: WINDOW_MAX})] * 2
    else:
        parts = [head(1, PUT), *[data(1, BODY_PIECE)] * BODY_PIECES]
    _flood(me, iter(parts))


def header_bombs(me: Intruder) -> None:
    """Blocks that are small and mean much, or nothing that any table has (RFC 7541)."""
    shape = me.chance.randrange(4)
    if shape == 0:  # each byte names a field of 4 KiB
        blocks = [RANGE + _INSERT_4_KIB, *[RANGE + b"\xbe" * 12_000] * 20]
    elif shape == 1:  # the table is filled again and again
        blocks = [RANGE + _INSERT_4_KIB * 3] * 100
    elif shape == 2:  # numbers without end, sizes that are not allowed
        blocks = [
            me.chance.choice((b"\x7f" + b"\xff" * 200, b"\x3f\xff\xff\x7f", b"\xff\x80" * 50))
        ]
    else:  # Huffman's code by chance
        blocks = [RANGE + _HUFFMAN_256 + me.chance.randbytes(256) for _ in range(10)]
    numbers = itertools.count(1, 2)
    _flood(me, (head(next(numbers), made, 5) for made in blocks), reads=True)


def empty_data(me: Intruder) -> None:
    """DATA without a byte, or with nothing but padding, on a request that does not end."""
    made = me.chance.choice((data(1), frame(DATA, 8, 1, b"\xff" + bytes(255))))
    _flood(me, itertools.chain([head(1, PUT)], itertools.repeat(made * FRAMES_A_PART, ROUNDS)))


def unread_answers(me: Intruder) -> None:
    """Ask for all there is, many times, and read nothing, or take one byte at a time."""
    wide = me.chance.random() < 0.7
    opening = OPENING if wide else PREFACE + settings({4: 1})
    with Http2Connection(me.reach_front(small_buffer=True), opening) as connection:
        if wide:
            connection.send(window_update(0, WINDOW_MAX - 70_000))
        for number in range(1, 2 * UNREAD_READS, 2):
            connection.send(head(number, RANGE), data(number, ALL_BULK, "END_STREAM"))
        for _ in range(DRIBBLED):
            me.hold(HOLD_SECONDS / DRIBBLED)
            if not wide:
                connection.send(*(window_update(n, 1) for n in range(1, 2 * UNREAD_READS, 2)))
        me.sight.add("left unread")


def unread_watches(me: Intruder) -> None:
    """Streams of watches of all that was ever changed, of which nothing is read."""
    with Http2Connection(me.reach_front(small_buffer=True)) as connection:
        for number in range(1, 40, 2):
            connection.send(head(number, WATCH), data(number, ALL_CHANGES * (WATCHES // 20)))
        me.hold(HOLD_SECONDS)
        me.sight.add("left unread")


def half_requests(me: Intruder) -> None:
    """Requests that begin and do not end: very many, or some with long bodies."""
    if me.chance.random() < 0.5:
        parts = (b"".join(head(each, PUT) for each in _ids(n)) for n in range(ROUNDS))
        _flood(me, parts)
        return
    # The size of the largest message that is taken, of which no end comes.
    announced = b"\0" + (64 << 20).to_bytes(4, "big")
    with Http2Connection(me.reach_front()) as connection:
        for number in range(1, 20, 2):
            connection.send(head(number, PUT), data(number, announced))
        for _ in range(3):
            for number in range(1, 20, 2):
                connection.send(data(number, BODY_PIECE))
            _saw(me, connection, 0.1)
        me.hold(HOLD_SECONDS)
        _saw(me, connection, 0.1)


def slow_writers(me: Intruder) -> None:
    """A preface, a header block or a body that comes a byte at a time."""
    opening = PREFACE + settings()
    asking = head(1, PUT) + data(1, REFUSED_PUT, "END_STREAM")
    whole = opening + asking
    begins_at = me.chance.choice((1, len(opening), len(whole) - len(REFUSED_PUT)))
    with Http2Connection(me.reach_front(), whole[:begins_at]) as connection:
        for byte in whole[begins_at : begins_at + DRIBBLED]:
            connection.send(bytes([byte]))
            me.hold(DRIBBLE_SECONDS)
        connection.send(whole[begins_at + DRIBBLED :])
        _saw(me, connection, WAIT_SECONDS)


def bad_calls(me: Intruder) -> None:
    """Calls of gRPC that are none: bombs of gzip, wrong prefixes, messages that nobody can read."""
    zipped = gzip.compress(bytes(BOMB_BYTES), 9)
    shape = me.chance.randrange(4)
    header, body = PUT, me.chance.randbytes(60)
    if shape == 0:
        header, body = ZIPPED_PUT, b"\1" + len(zipped).to_bytes(4, "big") + zipped
    elif shape == 1:
        body = b"\0\xff\xff\xff\xff" + bytes(1_000)
    elif shape == 2:  # messages within messages
        nested = b""
        for _ in range(1_000):
            size = len(nested)
            nested = (
                b"\x12" + _varint(size + 1 + len(_varint(size))) + b"\x22" + _varint(size) + nested
            )
        header, body = (
            path_block("/etcdserverpb.KV/Txn"),
            b"\0" + len(nested).to_bytes(4, "big") + nested,
        )
    with Http2Connection(me.reach_front()) as connection:
        for number in range(1, 20, 2):
            pieces = [body[at : at + 16_384] for at in range(0, len(body), 16_384)]
            connection.send(head(number, header), *(data(number, each) for each in pieces[:-1]))
            connection.send(data(number, pieces[-1], "END_STREAM"))
        _saw(me, connection, WAIT_SECONDS)


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*made, number])


def call_flood(me: Intruder) -> None:
    """Very many calls at once, each of which is refused, on streams of one connection."""

    def part(number: int) -> bytes:
        return b"".join(
            head(n, PUT) + frame(DATA, END_STREAM, n, REFUSED_PUT) for n in _ids(number)
        )

    _flood(me, map(part, range(ROUNDS // 20)), reads=me.chance.random() < 0.5)


def stream_flood(me: Intruder) -> None:
    """Streams of watches and of renewals, each with nothing on it, as many as are taken."""
    header = me.chance.choice((WATCH, KEEP_ALIVE))
    parts = (b"".join(head(each, header) for each in _ids(n)) for n in range(ROUNDS))
    _flood(me, parts)


def random_frames(me: Intruder) -> None:
    """Frames of any kind with any flags, or bytes that are no frames."""
    chance = me.chance
    with Http2Connection(me.reach_front()) as connection:
        if chance.random() < 0.2:
            connection.send(chance.randbytes(chance.randrange(1, 3_000)))
        for _ in range(chance.randrange(1, 30)):
            kind = chance.randrange(11)
            payload = chance.choice((RANGE, chance.randbytes(chance.randrange(40)), bytes(4)))
            made = frame(kind, chance.randrange(256), chance.choice((0, 1, 1, 2, 3)), payload)
            connection.send(made)
        _saw(me, connection, 0.5)


KINDS: Final = (
    Kind("header-lists", header_lists, 0.3),
    Kind("endless-headers", endless_headers, 0.3),
    Kind("ping-flood", ping_flood, 0.3),
    Kind("rapid-resets", rapid_resets, 0.3),
    Kind("window-overflows", window_overflows, 0.3),
    Kind("header-bombs", header_bombs, 0.3),
    Kind("empty-data", empty_data, 0.3),
    Kind("unread-answers", unread_answers, 0.3),
    Kind("unread-watches", unread_watches, 0.3),
    Kind("half-requests", half_requests, 0.3),
    Kind("slow-writers", slow_writers, 0.2),
    Kind("bad-calls", bad_calls, 0.3),
    Kind("call-flood", call_flood, 0.3),
    Kind("stream-flood", stream_flood, 0.3),
    Kind("random-frames", random_frames, 0.1),
)
"""Everything that is done to a front by HTTP/2."""
