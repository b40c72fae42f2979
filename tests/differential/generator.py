"""Makes programs out of seeds: few keys, values and leases, so that operations meet each other.

Each program has a mood, a random choice of what it does how often: one that does everything at once
finds less than many that each do a few things (swarm testing). The same seed makes the same
program, always. Knows no server.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

from tests.differential.deadly import harmless
from tests.differential.language import ALARMED_MEMBER, Fields, Op, base, now, op

KEYS: Final = (b"a", b"b", b"c", b"aa", b"ab", b"a\xff", b"\0", b"\xff")
VALUES: Final = (b"", b"0", b"1", b"2", b"10", b"\xff\0")
LEASES: Final = (1, 2, 3, 4)
UNKNOWN_LEASE: Final = 99
WATCH_IDS: Final = (1001, 1002, 1003)
"""Larger than any that a server would choose."""


NESTING_MAX: Final = 3
LENGTH_MIN: Final = 100
LENGTH_MAX: Final = 300
RARELY: Final = 0.03
SOMETIMES: Final = 0.25

Mood = dict[str, int]
"""How often a program does what."""

MOOD: Final[Mood] = {
    "put": 24,
    "range": 24,
    "txn": 16,
    "delete_range": 8,
    "lease_grant": 8,
    "watch_create": 4,
    "lease_revoke": 3,
    "lease_time_to_live": 3,
    "compact": 2,
    "lease_keep_alive": 2,
    "watch_cancel": 2,
    "lease_leases": 1,
    "lease_cycle": 1,
    "watch_progress": 1,
    "no_space": 1,
    "corrupt": 1,
}
NAMES: Final = {"no_space": "alarm", "corrupt": "alarm"}
"""The operation, for kinds that are not called like it."""

ALWAYS: Final = {"put", "range", "txn", "delete_range"}


def program_of(seed: int) -> list[Op]:
    """The program of a seed: some hundred operations."""
    random = Random(seed)
    mood = mood_of(random)
    length = random.randint(LENGTH_MIN, LENGTH_MAX)
    return [operation_of(random, mood) for _ in range(length)]


def mood_of(random: Random) -> Mood:
    """Which kinds of operations a program has, and how many of each."""
    kinds = {kind for kind in MOOD if kind in ALWAYS or random.random() < 0.6}
    # Under an alarm little happens, and under two etcd 3.5.1 forgets the one for the other.
    kinds -= {"no_space", "corrupt"} - {random.choice(("no_space", "corrupt", "", "", ""))}
    return {kind: MOOD[kind] * random.choice((1, 1, 2, 4)) for kind in sorted(kinds)}


def operation_of(random: Random, mood: Mood) -> Op:
    """One operation."""
    (kind,) = random.choices(list(mood), list(mood.values()))
    fields = flat_txn(random) if kind == "txn" and "no_space" in mood else MAKERS[kind](random)
    return op(NAMES.get(kind, kind), **fields)


# --- parts ------------------------------------------------------------------------------------


def key(random: Random) -> bytes:
    """A key; rarely none."""
    return b"" if random.random() < RARELY / 3 else random.choice(KEYS)


def interval(random: Random) -> Fields:
    """A key, a prefix, an interval (perhaps the wrong way round), all from a key on, or all."""
    start = key(random)
    match random.randrange(8):
        case 0 | 1 | 2:
            return {"key": start}
        case 3:
            return {"key": start, "range_end": b"\0"}
        case 4:
            return {"key": b"\0", "range_end": b"\0"}
        case 5:
            return {"key": b"a", "range_end": b"b"}
        case _:
            return {"key": start, "range_end": random.choice(KEYS)}


def revision(random: Random) -> Any:
    """A revision to read or to begin at: mostly one that there is."""
    match random.randrange(20):
        case 0:
            return -1
        case 1:
            return 1
        case 2:
            return now(random.choice((1, 1, 2, 50)))
        case 3 | 4 | 5:
            return base(random.randrange(-1, 40))
        case _:
            return now(-random.choice((0, 1, 1, 2, 2, 3, 4, 6, 9, 15)))


def bound(random: Random) -> Any:
    """A bound on create or mod revisions."""
    return random.choice((-1, 1, base(random.randrange(0, 60)), now(-random.randrange(0, 12))))


def lease(random: Random) -> int:
    """A lease, which may be there."""
    return UNKNOWN_LEASE if random.random() < RARELY else random.choice((1, 1, 1, 2, 2, 3, 4))


def some(random: Random, chance: float, **makers: Callable[[Random], Any]) -> Fields:
    """Each of these fields with this chance."""
    return {name: make(random) for name, make in makers.items() if random.random() < chance}


def yes(_: Random) -> bool:
    """A flag that is set."""
    return True


# --- operations -------------------------------------------------------------------------------


def put(random: Random) -> Fields:
    """A put; its options mostly make sense together."""
    fields: Fields = {"key": key(random), "value": random.choice(VALUES)}
    fields |= some(random, SOMETIMES, lease=lease, prev_kv=yes)
    fields |= some(random, 0.06, ignore_value=yes, ignore_lease=yes)
    if fields.get("ignore_value") and random.random() < 0.8:
        del fields["value"]
    if fields.get("ignore_lease") and random.random() < 0.8:
        fields.pop("lease", None)
    return fields


def range_(random: Random) -> Fields:
    """A range with every option there is."""
    fields = interval(random)
    fields |= some(random, SOMETIMES, limit=_limit, revision=revision)
    fields |= some(random, SOMETIMES, sort_order=_sort_order, sort_target=_sort_target)
    fields |= some(random, 0.1, keys_only=yes, count_only=yes, serializable=yes)
    fields |= some(random, 0.08, min_mod_revision=bound, max_mod_revision=bound)
    fields |= some(random, 0.08, min_create_revision=bound, max_create_revision=bound)
    return fields


def _limit(random: Random) -> int:
    return random.choice((-1, 0, 1, 1, 2, 2, 3, 100))


def _sort_order(random: Random) -> str | int:
    return random.choice(("NONE", "ASCEND", "DESCEND", 1, 2))


def _sort_target(random: Random) -> str | int:
    return random.choice(("KEY", "VERSION", "CREATE", "MOD", "VALUE", 1, 2, 3, 4))


def delete_range(random: Random) -> Fields:
    """A delete, mostly of a little: else nothing stays to be read."""
    fields = interval(random) if random.random() < 0.4 else {"key": key(random)}
    return fields | some(random, SOMETIMES, prev_kv=yes)


def txn(random: Random) -> Fields:
    """A transaction, perhaps with others in it; never one that etcd 3.5.1 dies of."""
    return harmless(_txn(random, 1))


def flat_txn(random: Random) -> Fields:
    """One without others in it: etcd 3.5.1 forgets to look for puts in those under NOSPACE."""
    return harmless(_txn(random, NESTING_MAX))


def _txn(random: Random, depth: int) -> Fields:
    return {
        "compare": [compare(random) for _ in range(random.choice((0, 1, 1, 1, 2, 3)))],
        "success": _operations(random, depth),
        "failure": _operations(random, depth),
    }


def _operations(random: Random, depth: int) -> list[Fields]:
    return [_operation(random, depth) for _ in range(random.choice((0, 1, 1, 2, 2, 3)))]


def _operation(random: Random, depth: int) -> Fields:
    match random.randrange(12):
        case 0 | 1 | 2 | 3:
            return {"request_put": put(random)}
        case 4 | 5:
            return {"request_delete_range": delete_range(random)}
        case 6 | 7 if depth < NESTING_MAX:
            return {"request_txn": _txn(random, depth + 1)}
        case _:
            return {"request_range": range_(random)}


def compare(random: Random) -> Fields:
    """A condition, of every kind that etcd has."""
    target, operand, make = random.choice(COMPARES)
    fields: Fields = {"key": key(random)}
    if random.random() < SOMETIMES:
        fields = interval(random)
    fields["target"] = target
    fields["result"] = random.choice(("EQUAL", "GREATER", "LESS", "NOT_EQUAL", 0, 1, 2, 3))
    if random.random() > RARELY:
        fields[operand] = make(random)
    return fields


def _version(random: Random) -> int:
    return random.choice((0, 0, 1, 1, 2, 3))


def _known_revision(random: Random) -> Any:
    return random.choice((0, 0, now(), now(-random.randrange(8)), base(random.randrange(30))))


def _value(random: Random) -> bytes:
    return random.choice(VALUES)


COMPARES: Final[list[tuple[str | int, str, Callable[[Random], Any]]]] = [
    ("VERSION", "version", _version),
    ("CREATE", "create_revision", _known_revision),
    ("MOD", "mod_revision", _known_revision),
    ("VALUE", "value", _value),
    ("LEASE", "lease", lease),
    (0, "version", _version),
    (3, "value", _value),
]


def compact(random: Random) -> Fields:
    """A compaction, mostly of a little."""
    wanted = random.choice((now(-1), now(-3), now(-8), now(), base(10), revision(random), 0))
    return {"revision": wanted} | some(random, 0.1, physical=yes)


def lease_grant(random: Random) -> Fields:
    """A lease that outlives the program; no two of them end at nearly the same time."""
    chosen = random.choice((1, 1, *LEASES))
    ttl = 1000 * chosen + 100 * random.randrange(4)
    return {"ID": chosen, "TTL": 9_000_000_001 if random.random() < RARELY else ttl}


def lease_cycle(random: Random) -> Fields:
    """A lease granted and revoked at once: any TTL will do, and the server may choose the id."""
    ttl = random.choice((-5, 0, 1, 2, 3, 60, 9_000_000_000, 9_000_000_001))
    return {"TTL": ttl, "ID": random.choice((0, 0, *LEASES, -6))}


def _one_lease(random: Random) -> Fields:
    return {"ID": 0 if random.random() < RARELY else lease(random)}


def _lease_time_to_live(random: Random) -> Fields:
    return _one_lease(random) | some(random, 0.5, keys=yes)


def watch_create(random: Random) -> Fields:
    """A watch with every option; its id chosen or not."""
    fields = interval(random) | some(random, 0.5, start_revision=_start_revision, prev_kv=yes)
    fields |= some(random, SOMETIMES, filters=_filters, watch_id=_watch_id)
    fields |= some(random, 0.1, progress_notify=yes, fragment=yes)
    if len(fields.get("filters", [])) > 1:
        fields.pop("start_revision", None)  # nobody could tell when it has caught up
    return fields


def _start_revision(random: Random) -> Any:
    chosen = revision(random)
    return 1 if chosen == -1 else chosen


def _filters(random: Random) -> list[str]:
    return random.choice((["NOPUT"], ["NODELETE"], ["NOPUT"], ["NODELETE"], ["NOPUT", "NODELETE"]))


def _watch_id(random: Random) -> int:
    return random.choice(WATCH_IDS)


def _watch_cancel(random: Random) -> Fields:
    return {"nth": random.randrange(8)}


def _nothing(_: Random) -> Fields:
    return {}


def _alarm(random: Random, kind: str) -> Fields:
    """Raise, clear or list an alarm of a member that there is not; cleared rather often."""
    action = random.choice(("GET", "ACTIVATE", "DEACTIVATE", "DEACTIVATE"))
    asked = random.choice(("NONE", "NOSPACE", "CORRUPT")) if action == "GET" else kind
    return {"action": action, "memberID": ALARMED_MEMBER, "alarm": asked}


def no_space(random: Random) -> Fields:
    """An alarm that lets nothing grow."""
    return _alarm(random, "NOSPACE")


def corrupt(random: Random) -> Fields:
    """An alarm that lets nothing change."""
    return _alarm(random, "CORRUPT")


MAKERS: Final[dict[str, Callable[[Random], Fields]]] = {
    "put": put,
    "range": range_,
    "txn": txn,
    "delete_range": delete_range,
    "lease_grant": lease_grant,
    "watch_create": watch_create,
    "lease_revoke": _one_lease,
    "lease_time_to_live": _lease_time_to_live,
    "compact": compact,
    "lease_keep_alive": _one_lease,
    "watch_cancel": _watch_cancel,
    "lease_leases": _nothing,
    "lease_cycle": lease_cycle,
    "watch_progress": _nothing,
    "no_space": no_space,
    "corrupt": corrupt,
}
