"""What hostile clients do at the client port. No act is a write that would be right to accept.

A hostile client has no more rights than an honest one, and no fewer: puts of its own would be
served, and are not tried. What it asks is to be refused or bounded, and must not hold up others.
"""

from __future__ import annotations

import itertools
import socket
import struct
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Final

from cluster.wire import pack
from tests.chaos.hostile.intruder import Intruder, Kind
from tests.chaos.hostile.zmtp import (
    GREETING,
    SOCKET_SECONDS,
    Connection,
    endless,
    http_post,
    message,
    ready,
    version_1,
)

BULK: Final = "bulk/"
"""Whoever reads all keys that begin so gets some megabytes."""

FORBIDDEN: Final = "hostile/"
"""Keys that begin so are put only by requests that must not be taken."""

LEASE_MARK: Final = 0x4857 << 44
LEASE_TTL_SECONDS: Final = 5
"""Not for long, so that all have ended by themselves when the copies are compared."""

LEASES_MAX: Final = 20_000
"""After this number of grants, leases that are not there are kept alive."""

WAIT_SECONDS: Final = 2.0
HOLD_SECONDS: Final = 5.0
POST_PADS: Final = 600
COLLISIONS: Final = (12_000, 24_000)
FRAMES: Final = 100_000
LARGE_BYTES: Final = 16 * 1024 * 1024
LARGE_COUNT: Final = 4
FLOOD: Final = 500
WHOLE_RANGES: Final = 20
CONNECTIONS: Final = 20
NOTHINGS: Final = 500_000


def colliding_map(count: int) -> bytes:
    """A map whose keys are arrays of -1 and -2, which all have one hash."""
    rows = [b"\xdf" + struct.pack(">I", count)]
    products = itertools.product((b"\xff", b"\xfe"), repeat=17)
    for parts in itertools.islice(products, count):
        rows.append(b"\xdc\x00\x11" + b"".join(parts) + b"\xc0")
    return b"".join(rows)


_COLLIDING: Final = tuple(map(colliding_map, COLLISIONS))


def request(op: str, **fields: Any) -> bytes:
    """The payload of a request."""
    return pack({"op": op, **fields})


def old_protocol(me: Intruder) -> None:
    """A put by the bytes of a web page, or by a peer that speaks ZMTP/1.0."""
    host, port = address = me.client_address()
    name = f"{FORBIDDEN}{me.name}"
    put = request("put", key=name, value="x")
    pads = list(range(POST_PADS))
    me.chance.shuffle(pads)
    data = http_post(host, port, put, pads) if me.chance.random() < 0.5 else version_1(put)
    with Connection(address) as connection:
        connection.send(data or version_1(put))
        closed = connection.is_closed_within(WAIT_SECONDS)
        me.sight.add("closed by the node" if closed else "left open")


def colliding_keys(me: Intruder) -> None:
    """A map whose keys all collide."""
    with me.call_on() as connection:
        connection.send(message(me.chance.choice(_COLLIDING)))
        me.saw_answers(connection, 1, SOCKET_SECONDS)


def many_frames(me: Intruder) -> None:
    """A message of very many frames, complete or not."""
    shape = me.chance.randrange(3)
    with me.call_on() as connection:
        if shape == 0:
            connection.send(endless(b"x") * FRAMES + message(b"x"))
        elif shape == 1:
            connection.send(endless(b"x" * 4_000) * 3_000 + message(b"x"))
        else:
            connection.send(endless(b"x") * FRAMES)
            me.hold(WAIT_SECONDS)
            me.sight.add("left without an end")
            return
        me.saw_answers(connection, 1, SOCKET_SECONDS)


def nothings(me: Intruder) -> None:
    """Very many messages of nothing, of which no answer is read, and which are left behind."""
    with me.call_on(small_buffer=True) as connection:
        connection.send(message(b"") * NOTHINGS)
        if me.chance.random() < 0.5:
            _reset(connection)
        me.sight.add("left")


def large_frames(me: Intruder) -> None:
    """Frames of nearly the size at which a connection is closed, and of that size."""
    size = LARGE_BYTES - me.chance.choice((64, 1, 0, -1))
    key = b"\x82\xa2op\xa3put\xa5value\xc6" + struct.pack(">I", size - 15)
    with me.call_on() as connection:
        for _ in range(LARGE_COUNT):
            connection.send(message(key.ljust(size, b"x")))
        me.saw_answers(connection, LARGE_COUNT, SOCKET_SECONDS)


def request_flood(me: Intruder) -> None:
    """Very many small requests at once, which are answered or refused; none changes a key."""
    never = {"key": FORBIDDEN, "target": "VERSION", "result": "GREATER", "version": 0}
    put = {"request_put": {"key": FORBIDDEN, "value": "x"}}
    kinds: Sequence[bytes] = (
        request("range", key="k"),
        request("range", key="k", serializable=True),
        request("status"),
        request("member_list"),
        request("txn", compare=[never], success=[put]),
        request("lease_time_to_live", ID=LEASE_MARK),
        request("put", key=FORBIDDEN, value="x", lease=LEASE_MARK - 1),
    )
    with me.call_on() as connection:
        connection.send(message(me.chance.choice(kinds)) * FLOOD)
        me.saw_answers(connection, FLOOD, WAIT_SECONDS)


def floods_and_leaves(me: Intruder) -> None:
    """Send more than a node takes of one client, and reset the connection while it waits there."""
    with me.call_on() as connection:
        whole = request("range", key=BULK, range_end=BULK[:-1] + "0", count_only=True)
        connection.send(message(whole) * (4 * FLOOD))
        _reset(connection)
        me.sight.add("left")


def _reset(connection: Connection) -> None:
    linger = struct.pack("ii", 1, 0)
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def no_reading(me: Intruder) -> None:
    """Ask for all there is, many times, and read nothing of it."""
    whole = request("range", key=BULK, range_end=BULK[:-1] + "0")
    past = request("watch_create", key="\0", range_end="\0", start_revision=1)
    with me.call_on(small_buffer=True) as connection:
        connection.send(message(me.chance.choice((whole, whole, past))) * WHOLE_RANGES)
        me.hold(HOLD_SECONDS)
        me.sight.add("left unread")


def claimed_names(me: Intruder) -> None:
    """Claim a name that the node gives by itself, somebody else's, or an impossible one."""
    names = (
        b"\0" + me.chance.randbytes(4),
        b"\0" + struct.pack(">I", me.chance.randrange(1 << 16)),
        b"\0" + me.chance.randbytes(3),
        b"the same for all",
        me.chance.randbytes(255),
        me.chance.randbytes(300),
    )
    with me.call_on(identity=me.chance.choice(names)) as connection:
        watch = request("watch_create", key=BULK, range_end=BULK[:-1] + "0", start_revision=1)
        connection.send(message(request("range", key="k")) + message(watch))
        me.saw_answers(connection, 2, WAIT_SECONDS)
        me.hold(me.chance.uniform(0, WAIT_SECONDS))


def session_flood(me: Intruder) -> None:
    """Open one session after the other."""
    with me.call_on() as connection:
        connection.send(message(request("session_open")) * FLOOD)
        me.saw_answers(connection, FLOOD, WAIT_SECONDS)


def lease_flood(me: Intruder) -> None:
    """Grant one lease after the other."""
    with me.call_on() as connection:
        ids = [LEASE_MARK | me.chance.getrandbits(40) for _ in range(FLOOD)]
        if me.sight.seen["answered"] < LEASES_MAX:
            grants = (request("lease_grant", TTL=LEASE_TTL_SECONDS, ID=one) for one in ids)
        else:
            grants = (request("lease_keep_alive", ID=one) for one in ids)
        connection.send(b"".join(map(message, grants)))
        me.saw_answers(connection, FLOOD, WAIT_SECONDS)


def watch_flood(me: Intruder) -> None:
    """Open watches of all keys, one after the other, and read nothing of what they tell."""
    with me.call_on() as connection:
        watch = request("watch_create", key="\0", range_end="\0")
        connection.send(message(watch) * FLOOD)
        me.saw_answers(connection, FLOOD, WAIT_SECONDS)
        me.hold(HOLD_SECONDS)


def random_bytes(me: Intruder) -> None:
    """Bytes that are no greeting, no frame, no msgpack, or nearly a request."""
    if me.chance.random() < 0.4:
        with Connection(me.client_address()) as connection:
            start = me.chance.choice((b"", GREETING, GREETING[:10], GREETING + ready(b"DEALER")))
            connection.send(start + me.chance.randbytes(me.chance.randrange(2_000)))
            closed = connection.is_closed_within(WAIT_SECONDS)
            me.sight.add("closed by the node" if closed else "left open")
        return
    with me.call_on() as connection:
        payloads = [_nearly_a_request(me) for _ in range(20)]
        connection.send(b"".join(map(message, payloads)))
        me.saw_answers(connection, len(payloads), WAIT_SECONDS)


def _nearly_a_request(me: Intruder) -> bytes:
    """Nothing of it may be a write, whatever becomes of it."""
    chance = me.chance
    shape = chance.randrange(6)
    if shape == 0:
        return chance.randbytes(chance.randrange(200))
    if shape == 1:
        return b"\x91" * chance.randrange(1, 5_000)
    if shape == 2:  # so many elements are announced, and none is there
        return chance.choice((b"\xdd", b"\xdf", b"\xc6", b"\xdb", b"\xc9")) + b"\xff" * 4
    if shape == 3:  # nested announcements
        return b"\xdd\x00\x10\x00\x00" * chance.randrange(1, 300_000)
    good = bytearray(
        chance.choice(
            (
                request("range", key="k", range_end="l", limit=3, sort_target="MOD"),
                request("watch_create", key="k", start_revision=3, filters=["NOPUT"]),
                request("txn", compare=[{"key": "k", "target": "VALUE", "value": "v"}]),
                request("lease_time_to_live", ID=7, keys=True),
                request("status", id=b"x" * 64),
            )
        )
    )
    for _ in range(chance.randrange(1, 4)):
        good[chance.randrange(len(good))] = chance.randrange(256)
    return bytes(good[: chance.choice((len(good), chance.randrange(len(good))))])


def connections(me: Intruder) -> None:
    """Connect often: and say nothing, half a greeting, or be a kind of socket that is none here."""
    with ExitStack() as open_ones:
        for _ in range(CONNECTIONS):
            connection = open_ones.enter_context(Connection(me.client_address()))
            kind = me.chance.choice((b"", b"SUB", b"PULL", b"ROUTER", b"REP", b"nonsense" * 20))
            connection.send(GREETING[: me.chance.randrange(len(GREETING) + 1)])
            if kind:
                connection.send(GREETING + ready(kind))
            if me.chance.random() < 0.3:
                _reset(connection)
        me.hold(me.chance.uniform(0, 1))
        me.sight.add("connected", CONNECTIONS)


KINDS: Final = (
    Kind("old-protocol", old_protocol, 0.3),
    Kind("colliding-keys", colliding_keys, 0.5),
    Kind("many-frames", many_frames, 0.5),
    Kind("nothings", nothings, 0.1),
    Kind("large-frames", large_frames, 1.0),
    Kind("request-flood", request_flood, 0.1),
    Kind("flood-and-leave", floods_and_leaves, 0.3),
    Kind("no-reading", no_reading, 0.1),
    Kind("claimed-names", claimed_names, 0.1),
    Kind("session-flood", session_flood, 0.2),
    Kind("lease-flood", lease_flood, 0.2),
    Kind("watch-flood", watch_flood, 0.2),
    Kind("random-bytes", random_bytes, 0.1),
    Kind("connections", connections, 0.3),
)
"""Everything that is done to a client port."""
