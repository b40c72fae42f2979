"""What strangers do at the peer port, and what is said there in the name of members.

Until members have keys, a frame in a member's name cannot be told from the member's own. So such
frames are only those that no rule of Raft would let count: out of bounds, of an old term, of no
stream there is, or unfit for their kind.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any, Final

from actors.language.codec import encode_command
from actors.language.commands import DeleteRange, Put
from actors.language.entries import Entry, Proposal
from actors.raft import rpc
from cluster.wire import WireError, pack, unpack
from tests.chaos.hostile.intruder import Facts, Intruder, Kind
from tests.chaos.hostile.on_clients import FORBIDDEN, NOTHINGS, colliding_map
from tests.chaos.hostile.zmtp import Connection, endless, message, version_1
from tests.forgery import forged

MESSAGES: Final[tuple[type[Any], ...]] = typing.get_args(rpc.Message)
STRANGER: Final = 0x1234
FRAMES_AN_ACT: Final = 20
WAIT_SECONDS: Final = 1.0
HELLOS_AN_ACT: Final = 100

UINT64_MAX: Final = 2**64 - 1
NUMBERS: Final = (0, 1, -1, 2**31, 2**32, 2**50, 2**62, 2**63 - 1, 2**63, UINT64_MAX)
OUT_OF_BOUNDS: Final = (-1, -(2**62), 2**63, UINT64_MAX)
"""No term or index is ever one of these."""

HARMLESS_WHEN_OLD: Final = frozenset(
    {
        rpc.AppendRequest,
        rpc.AppendResponse,
        rpc.Heartbeat,
        rpc.HeartbeatResponse,
        rpc.ReadResponse,
        rpc.SnapshotChunk,
        rpc.SnapshotAck,
        rpc.TimeoutNow,
    }
)
"""Kinds that do not count when their term is over; a late request or refusal may count."""

URLS: Final = (
    "nonsense",
    "",
    "tcp://_foo:1",
    "tcp://127.0.0.1:0",
    "tcp://127.0.0.1:99999",
    "tcp://*:1",
    "ipc:///nowhere",
    "http://127.0.0.1:1\n",
    "tcp://" + "a" * 5_000 + ":1",
)
"""None of these is the URL of a member."""

COMMANDS: Final = (
    b"",
    b"\xc1garbage",
    b"\x93\x01\x02",
    encode_command(DeleteRange(b"\0", b"\0", False), None),
    encode_command(Put(FORBIDDEN.encode() + b"by-a-peer", b"x"), None),
)


def frame_of(kind: type[Any], source: int, target: int, facts: Facts, me: Intruder) -> bytes:
    """A frame of this kind, with numbers as they are just now, or as they might be."""
    return forged(facts.cluster_id, _message(kind, source, target, facts, me))


def _message(kind: type[Any], source: int, target: int, facts: Facts, me: Intruder) -> Any:
    chance = me.chance

    def near(number: int) -> int:
        return max(0, number + chance.choice((0, 0, 0, 1, -1, 5, -5, 100)))

    def entries() -> tuple[Entry, ...]:
        first = values.get("prev_index", facts.log_index) + 1
        command = chance.choice(COMMANDS)
        return tuple(
            Entry(first + number, facts.term, 1, source, 1, command)
            for number in range(chance.randrange(3))
        )

    draw: dict[str, Callable[[], Any]] = {
        "source": lambda: source,
        "target": lambda: target,
        "term": lambda: chance.choice((facts.term, facts.term, facts.term + 1, *NUMBERS[-3:])),
        "entries": entries,
        "proposals": lambda: (Proposal(source, 1, chance.choice(COMMANDS)),),
        "tickets": lambda: tuple(chance.randrange(100) for _ in range(chance.randrange(5))),
        "change": lambda: chance.choice((b"not json", b"{}", b'{"kind":"remove","ID":1}', b"\xff")),
        "name": lambda: chance.choice(("", "NoSpace", "NoSuchError", "x" * 2_000)),
        "data": lambda: chance.randbytes(100),
        "total_bytes": lambda: chance.choice((100, *NUMBERS)),
    }
    by_type: dict[Any, Callable[[], Any]] = {
        int: lambda: chance.choice((near(facts.log_index), near(facts.term), *NUMBERS)),
        bool: lambda: chance.random() < 0.5,
        bytes: lambda: chance.randbytes(20),
        str: lambda: chance.choice(("", "x")),
    }
    values: dict[str, Any] = {}
    for name, annotation in typing.get_type_hints(kind).items():
        values[name] = (draw.get(name) or by_type.get(annotation, lambda: ()))()
    # Entries after the last number there is cannot be packed.
    if "prev_index" in values and values["prev_index"] not in range(2**62):
        values["prev_index"] = facts.log_index
        values["entries"] = entries()
    return kind(**values)


def strangers(me: Intruder) -> None:
    """Frames of every kind from one who is no member, with the numbers of now."""
    facts = me.facts()
    name, target = me.chance.choice(list(facts.members.items()))
    with me.call_on_peer(name) as connection:
        for kind in me.chance.choices(MESSAGES, k=FRAMES_AN_ACT):
            source = me.chance.choice((STRANGER, 0, me.chance.getrandbits(63), UINT64_MAX))
            connection.send(message(frame_of(kind, source, target, facts, me)))
        me.sight.add("sent", FRAMES_AN_ACT)
        _see_end(me, connection)


def changed_frames(me: Intruder) -> None:
    """The same frames with some bytes, fields or lengths changed at random."""
    facts = me.facts()
    name, target = me.chance.choice(list(facts.members.items()))
    with me.call_on_peer(name) as connection:
        for kind in me.chance.choices(MESSAGES, k=FRAMES_AN_ACT):
            good = frame_of(kind, STRANGER, target, facts, me)
            connection.send(message(_changed(good, me)))
        me.sight.add("sent", FRAMES_AN_ACT)
        _see_end(me, connection)


def _changed(good: bytes, me: Intruder) -> bytes:
    chance = me.chance
    shape = chance.randrange(4)
    if shape == 0:
        data = bytearray(good)
        for _ in range(chance.randrange(1, 5)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        return bytes(data)
    if shape == 1:
        return good[: chance.randrange(len(good))]
    try:
        row = list(unpack(good))
    except WireError:
        return good
    odd: tuple[Any, ...] = (
        None,
        True,
        -1,
        1.5,
        "text",
        b"bytes",
        (),
        ((),),
        {},
        {"a": 1},
        *NUMBERS,
    )
    if shape == 2:
        row[chance.randrange(3, len(row))] = chance.choice(odd)
    else:
        row = row[: chance.randrange(len(row))] if chance.random() < 0.5 else [*row, "more"]
    return pack(tuple(row))


def in_members_names(me: Intruder) -> None:
    """Frames in a member's name that are out of bounds, stale, or unfit for their kind."""
    facts = me.facts()
    source, name = _a_member_and_its_peer(me, facts)
    target = facts.members[name]
    with me.call_on_peer(name) as connection:
        for _ in range(FRAMES_AN_ACT):
            connection.send(message(_harmless(source, target, facts, me)))
        me.sight.add("sent", FRAMES_AN_ACT)
        _see_end(me, connection)


def _harmless(source: int, target: int, facts: Facts, me: Intruder) -> bytes:
    """One frame of which every receiver can know that it must not count."""
    chance = me.chance
    kind = chance.choice(MESSAGES)
    row = list(unpack(frame_of(kind, source, target, facts, me)))
    fields = kind._fields
    # The row is the cluster, the kind, and the fields.
    term = 2 + fields.index("term")
    shape = chance.randrange(5)
    if shape == 0:
        row[term] = chance.choice(OUT_OF_BOUNDS)
    elif shape == 1:
        over = kind in HARMLESS_WHEN_OLD and facts.term > 0
        row[term] = chance.randrange(facts.term) if over else -1
    elif shape == 2:  # for somebody else
        row[2 + fields.index("target")] = chance.choice((STRANGER, 0, source))
    elif shape == 3:
        row[1] = chance.choice((len(MESSAGES) + 1, 77, -1, 2**40))
    else:
        row[chance.randrange(4, len(row))] = chance.choice((None, "text", 1.5, (), {}))
    return pack(tuple(row))


def _a_member_and_its_peer(me: Intruder, facts: Facts) -> tuple[int, str]:
    """Always the same member's id, and the name of another: one alone is no majority."""
    claimed = min(facts.members)
    others = [name for name in facts.members if name != claimed]
    return facts.members[claimed], me.chance.choice(others or [claimed])


def hellos(me: Intruder) -> None:
    """Introductions and requests to join by the hundred, known and unknown, with odd URLs."""
    facts = me.facts()
    name = me.chance.choice(list(facts.members))
    known = me.chance.choice(list(facts.members.values()))
    with me.call_on_peer(name) as connection:
        frames = []
        for _ in range(HELLOS_AN_ACT):
            url = me.chance.choice((*URLS, "tcp://127.0.0.1:1"))
            stranger = me.chance.choice((STRANGER, me.chance.getrandbits(62), -1))
            shape = me.chance.randrange(3)
            said: rpc.Introduction | rpc.JoinRequest
            if shape == 0:
                said = rpc.Introduction(stranger, url)
            elif shape == 1:
                said = rpc.Introduction(known, me.chance.choice(URLS))
            else:
                urls = (url,) * me.chance.choice((0, 1, 100))
                who = me.chance.choice((0, stranger, known))
                said = rpc.JoinRequest(me.chance.choice(NUMBERS), who, urls)
            frames.append(forged(facts.cluster_id, said))
        connection.send(b"".join(map(message, frames)))
        me.sight.add("sent", HELLOS_AN_ACT)
        _see_end(me, connection)


def removal_notices(me: Intruder) -> None:
    """Tell members that they were removed: by strangers, and in the name of one member."""
    facts = me.facts()
    source, name = _a_member_and_its_peer(me, facts)
    target = facts.members[name]
    with me.call_on_peer(name) as connection:
        for claimed in (STRANGER, source, source, target):
            term = me.chance.choice((facts.term, facts.term + 1, UINT64_MAX))
            notice = rpc.RemovedNotice(claimed, target, term)
            connection.send(message(forged(facts.cluster_id, notice)))
        me.sight.add("sent", 4)
        _see_end(me, connection)


def junk(me: Intruder) -> None:
    """What is no peer's: random bytes, other protocols, many frames, large ones, odd maps."""
    chance = me.chance
    name = chance.choice(list(me.facts().peers))
    shape = chance.randrange(7)
    if shape < 2:
        with Connection(me.facts().peers[name]) as connection:
            said = (b"GET / HTTP/1.1\r\n\r\n", version_1(b"x"), chance.randbytes(500))
            connection.send(chance.choice(said))
            _see_end(me, connection)
        return
    with me.call_on_peer(name) as connection:
        if shape == 2:
            connection.send(endless(b"x") * 50_000 + message(b"x"))
        elif shape == 3:
            connection.send(message(b"x" * (32 << 20)) + endless(b"y") * 3_000 + message(b"x"))
        elif shape == 4:
            connection.send(message(colliding_map(12_000)))
        elif shape == 5:
            facts = me.facts()
            other = facts._replace(cluster_id=facts.cluster_id ^ 1)
            kinds = chance.choices(MESSAGES, k=FRAMES_AN_ACT)
            frames = [frame_of(kind, STRANGER, 1, other, me) for kind in kinds]
            connection.send(b"".join(map(message, frames)))
        else:
            frames = [chance.randbytes(chance.randrange(100)) for _ in range(FRAMES_AN_ACT)]
            connection.send(b"".join(map(message, frames)))
        me.sight.add("sent")
        _see_end(me, connection)


def peer_nothings(me: Intruder) -> None:
    """Very many messages of nothing, which are left behind."""
    with me.call_on_peer(me.chance.choice(list(me.facts().peers))) as connection:
        connection.send(message(b"") * NOTHINGS)
        me.sight.add("left")


def _see_end(me: Intruder, connection: Connection) -> None:
    """What was sent has arrived before the connection is left."""
    closed = connection.is_closed_within(WAIT_SECONDS)
    me.sight.add("closed by the node" if closed else "left open")


KINDS: Final = (
    Kind("strangers", strangers, 0.2),
    Kind("changed-frames", changed_frames, 0.2),
    Kind("in-members-names", in_members_names, 0.2),
    Kind("hellos", hellos, 0.3),
    Kind("removal-notices", removal_notices, 0.3),
    Kind("peer-junk", junk, 0.5),
    Kind("peer-nothings", peer_nothings, 0.1),
)
"""Everything that is done to a peer port."""
