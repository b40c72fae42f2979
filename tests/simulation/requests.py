"""Requests from the whole data model, drawn by chance: what clients ask beside plain operations.

Whatever writes carries something that only it writes - a value, or the delta of an increment - so
that its effect can be told from every other one's. Knows nothing of answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from tests.simulation.timeline import Chance

LEASED = "leased "
"""Keys that a lease may hold, or that are deleted by the dozen, begin like this."""

FLOODED = "flood"
"""So much is under way for keys like this that a search for its order would take for ever."""


class KeySpace(NamedTuple):
    """Keys of whatever values, keys that may be on leases, and keys of integers."""

    plain: tuple[bytes, ...]
    leased: tuple[bytes, ...]
    counted: tuple[bytes, ...]


OWN = KeySpace(
    plain=tuple(b"k%d" % number for number in range(6)),
    leased=tuple(b"%s%d" % (LEASED.encode(), number) for number in range(3)),
    counted=(b"n0", b"n1"),
)
FLOOD = KeySpace(
    plain=(b"flood", *(b"flood%d" % number for number in range(5))),
    leased=(b"flood leased 0", b"flood leased 1"),
    counted=(b"flood n",),
)
COUNTERS = frozenset((*OWN.counted, *FLOOD.counted))

TTLS_SECONDS = (0.2, 0.5, 1.5)

ALL = {"key": b"\0", "range_end": b"\0"}
TARGETS = ("KEY", "VERSION", "CREATE", "MOD", "VALUE")
ORDERS = ("NONE", "ASCEND", "DESCEND")
RESULTS = ("EQUAL", "NOT_EQUAL", "GREATER", "LESS")

WRITES = frozenset(
    ("put", "delete_range", "increment", "lease_grant", "lease_revoke", "compact", "alarm")
)

KINDS = ("txn",) * 3 + ("range",) * 2 + ("history", "increment", "put", "lease", "node")

Fields = dict[str, Any]


def is_write(fields: Mapping[str, Any]) -> bool:
    """Whether a request may change something."""
    if fields["op"] == "txn":
        return any(True for _ in marks(fields))
    if fields["op"] == "alarm":
        return bool(fields["action"] != "GET")
    return fields["op"] in WRITES


def marks(fields: Mapping[str, Any]) -> Iterator[bytes | int]:
    """What only this request writes, whatever branch it takes: values, and deltas of increments."""
    if "value" in fields:
        yield fields["value"]
    if "delta" in fields:
        yield fields["delta"]
    for request in (*fields.get("success", ()), *fields.get("failure", ())):
        for inner in request.values():
            yield from marks(inner)


class Requests:
    """Those of one client. `value` makes values, and `delta` integers, that nobody else has."""

    def __init__(
        self,
        chance: Chance,
        space: KeySpace,
        value: Callable[[], bytes],
        delta: Callable[[], int],
    ) -> None:
        self._chance = chance
        self._space = space
        self._value = value
        self._delta = delta

    def draw(self, revision: int, leases: list[int], more: tuple[str, ...]) -> Fields:
        """The next. `revision` is one that was seen; `more` are kinds beside the usual ones."""
        chance, space = self._chance, self._space
        match chance.of((*KINDS, *more)):
            case "txn":
                return {"op": "txn", **self._txn(list(self._shuffled()), revision, leases, 2)}
            case "range":
                flags = {"serializable": chance(4) == 0, "no_count": chance(4) == 0}
                return {"op": "range", **self._range(revision), **flags}
            case "history":
                key = chance.of((*space.plain, *space.counted))
                limit, at = chance.of((0, 1, 3)), self._some(revision)
                return {"op": "history", "key": key, "limit": limit, "revision": at}
            case "increment":
                return {"op": "increment", "key": chance.of(space.counted), "delta": self._delta()}
            case "put":
                lives = {"TTL": chance.of(TTLS_SECONDS), "prev_kv": True}
                key = chance.of(space.leased)
                return {"op": "put", "key": key, "value": self._value(), **lives}
            case "lease" if leases and chance(3):
                return {"op": "lease_time_to_live", "ID": chance.of(leases), "keys": True}
            case "lease":
                return {"op": "lease_leases"}
            case "compact":
                at = max(1, revision - chance(12))
                return {"op": "compact", "revision": at, "physical": chance(4) == 0}
            case "alarm":
                action = chance.of(("GET", "ACTIVATE", "DEACTIVATE", "DEACTIVATE"))
                member = 0 if action != "ACTIVATE" else 1 + chance(3)
                return {"op": "alarm", "action": action, "memberID": member, "alarm": "NOSPACE"}
            case _ if chance(4):
                return {"op": "hash_kv", "revision": self._some(revision)}
            case _:
                return {"op": "defragment"}

    def _shuffled(self) -> Iterator[bytes]:
        """Every key that a transaction may change, each once: it may not change one twice."""
        left = [key for keys in self._space for key in keys]
        while left:
            yield left.pop(self._chance(len(left)))

    def _txn(self, keys: list[bytes], revision: int, leases: list[int], depth: int) -> Fields:
        chance = self._chance
        compares = [self._compare(revision, leases) for _ in range(chance(3))]
        if chance(5) == 0:  # it only reads
            reads = [{"request_range": self._range(0)} for _ in range(1 + chance(2))]
            return {"compare": compares, "success": reads, "failure": reads[:1]}
        # A branch that only reads may be taken, too.
        success = self._branch(keys, revision, leases, depth)
        failure = self._branch(keys, revision, leases, depth) if chance(2) else []
        return {"compare": compares, "success": success, "failure": failure}

    def _branch(
        self, keys: list[bytes], revision: int, leases: list[int], depth: int
    ) -> list[Fields]:
        """Operations of which at least one writes what only this request writes."""
        chance = self._chance
        branch = [self._marked(keys.pop(), leases)] if keys else []
        for _ in range(chance(3)):
            match chance(4):
                case 0 if keys:
                    branch.append(self._marked(keys.pop(), leases))
                case 1 if keys:
                    wish = {"key": keys.pop(), "prev_kv": chance(2) == 0}
                    branch.append({"request_delete_range": wish})
                case 2 if depth and keys:
                    inner = self._txn(keys, revision, leases, depth - 1)
                    branch.append({"request_txn": inner})
                case _:
                    branch.append({"request_range": self._range(0)})
        return branch

    def _marked(self, key: bytes, leases: list[int]) -> Fields:
        if key in COUNTERS:
            return {"request_increment": {"key": key, "delta": self._delta()}}
        wish: Fields = {"key": key, "value": self._value(), "prev_kv": self._chance(2) == 0}
        if key in self._space.leased and leases and self._chance(2):
            wish["lease"] = self._chance.of(leases)
        return {"request_put": wish}

    def _compare(self, revision: int, leases: list[int]) -> Fields:
        chance = self._chance
        compare: Fields = self._interval() | {"result": chance.of(RESULTS)}
        target = chance.of(("VERSION", "CREATE", "MOD", "VALUE", "LEASE", "COUNT"))
        operands = {
            "VERSION": ("version", chance(3)),
            "CREATE": ("create_revision", chance.of((0, max(0, revision - chance(20))))),
            "MOD": ("mod_revision", chance.of((0, max(0, revision - chance(4))))),
            "VALUE": ("value", b"c%d" % chance(3)),
            "LEASE": ("lease", chance.of((0, *leases))),
            "COUNT": ("count", chance(4)),
        }
        name, operand = operands[target]
        return {**compare, "target": target, name: operand}

    def _range(self, revision: int) -> Fields:
        """A range with some options; of the past too, if `revision` is not 0."""
        chance = self._chance
        wish = self._interval()
        options: Fields = {
            "limit": chance.of((0, 1, 2, 5)),
            "sort_order": chance.of(ORDERS),
            "sort_target": chance.of(TARGETS),
            "keys_only": True,
            "count_only": True,
            "revision": self._some(revision),
            "min_mod_revision": max(0, revision - chance(10)),
            "max_mod_revision": max(0, revision - chance(10)),
            "min_create_revision": max(0, revision - chance(30)),
            "max_create_revision": max(0, revision - chance(30)),
        }
        for name, value in options.items():
            if chance(4) == 0:
                wish[name] = value
        return wish

    def _interval(self) -> Fields:
        chance, space = self._chance, self._space
        match chance(4):
            case 0:
                return dict(ALL)
            case 1:
                return {"key": space.plain[1], "range_end": space.plain[4]}
            case 2:
                return {"key": space.leased[1], "range_end": b"\0"}
            case _:
                return {"key": chance.of(chance.of(space))}

    def _some(self, revision: int) -> int:
        """Now, a revision not long ago, or one that is still to come."""
        chance = self._chance
        return chance.of((0, max(0, revision - chance(25)), max(0, revision + chance(3))))
