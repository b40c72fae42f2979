"""Frames as members send them to each other: from strangers, and from a member's own id.

Knows that a frame is an array of the cluster's id, the number of its kind and fields, that three
kinds have a name, and who the members are. What a member would believe is tried too: who may send
it is not proven before members have keys, so it may cost an election, but no process. Notices that
a member was removed are left out: those of a majority are obeyed.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final, NamedTuple

from actors.raft.codec import MESSAGE_KINDS
from actors.raft.rpc import RemovedNotice
from tests.fuzz.values import EDGES, Packed, pack, tree

FIELDS_MORE: Final = 3
URLS: Final = ("tcp://127.0.0.1:1", "tcp://_foo:1", "", "\0", "tcp://" + "h" * 300 + ":1")
TERMS: Final = 3
INDEXES: Final = 100


_REMOVED: Final = MESSAGE_KINDS.index(RemovedNotice)


class Facts(NamedTuple):
    """What a stranger can learn of a cluster."""

    cluster_id: int = 1
    members: tuple[int, ...] = (1,)


def peer_frame(chance: Random, facts: Facts) -> Packed:
    """One frame."""
    if chance.random() < 0.2:
        return pack(_named(chance, facts))
    cluster_id = facts.cluster_id if chance.random() < 0.9 else chance.choice(EDGES)
    ids = [_member(chance, facts) for _ in range(2)]
    kind = chance.choice([code for code in range(-1, len(MESSAGE_KINDS) + 2) if code != _REMOVED])
    count = len(MESSAGE_KINDS[kind % len(MESSAGE_KINDS)]._fields) - len(ids)
    if chance.random() < 0.2:
        count += chance.randrange(-FIELDS_MORE, FIELDS_MORE)
    fields = [_field(chance, facts) for _ in range(max(0, count))]
    return pack((cluster_id, kind, *ids, *fields))


def _member(chance: Random, facts: Facts) -> Any:
    return chance.choice(facts.members) if chance.random() < 0.8 else chance.choice(EDGES)


def _field(chance: Random, facts: Facts) -> Any:
    match chance.randrange(8):
        case 0 | 1:
            return chance.randrange(TERMS)
        case 2:
            return chance.randrange(INDEXES)
        case 3:
            return chance.choice(EDGES)
        case 4:
            return chance.random() < 0.5
        case 5:
            return _member(chance, facts)
        case 6:
            return chance.choice((b"", b"entries", "NoLeader", "NoSuchFault", "{}", ()))
        case _:
            return tree(chance)


def _named(chance: Random, facts: Facts) -> tuple[Any, ...]:
    url = chance.choice(
        ("tcp://127.0.0.1:1", "tcp://_foo:1", "", "\0", "tcp://" + "h" * 300 + ":1")
    )
    match chance.randrange(3):
        case 0:
            return ("join", chance.choice(EDGES), _member(chance, facts), (url,))
        case 1:
            return ("hello", facts.cluster_id, _member(chance, facts), url)
        case _:
            who = (_member(chance, facts), _member(chance, facts))
            return ("welcome", *who, facts.cluster_id, chance.choice(EDGES), tree(chance))
