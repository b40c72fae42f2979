"""What a load asks for, as bytes that are ready before the clock starts.

A request is a map of PROTOCOL.md whose first field is a numeric id of fixed width and whose last
one varies (a key, a lease): `head(id) + body`. Knows nothing of sockets.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Final, NamedTuple

from cluster import wire

FIRST_ID: Final = 0x10000
"""Ids from here on are five bytes in msgpack, in requests as in replies."""

BODIES_MAX: Final = 65_536
"""So many random choices are made before a run; a longer run goes round them again."""

KEY_PREFIX: Final = "bench-"


class Workload(NamedTuple):
    """Requests of one kind: fields that all share, the name of the one that varies, its values."""

    fields: dict[str, Any]
    varying: str
    bodies: Sequence[bytes]

    def head(self, request_id: int) -> bytes:
        """All of a request but the value that varies."""
        assert FIRST_ID <= request_id < 1 << 32, "an id that is not five bytes long"
        assert len(self.fields) <= 13, "more fields than a short map has"
        opening = bytes((0x80 | len(self.fields) + 2,))
        pairs = (wire.pack(part) for pair in self.fields.items() for part in pair)
        request = (wire.pack("id"), wire.pack(request_id), *pairs, wire.pack(self.varying))
        return opening + b"".join(request)


def key_name(number: int) -> bytes:
    """The keys that loads use."""
    return b"%s%08d" % (KEY_PREFIX.encode(), number)


def puts(value_bytes: int, key_space: int, random: Random) -> Workload:
    """Set random keys of the key space."""
    return Workload({"op": "put", "value": b"x" * value_bytes}, "key", _keys(key_space, random))


def gets(serializable: bool, key_space: int, random: Random) -> Workload:
    """Read random keys of the key space."""
    fields: dict[str, Any] = {"op": "range"}
    if serializable:
        fields["serializable"] = True
    return Workload(fields, "key", _keys(key_space, random))


def puts_of_all(value_bytes: int, key_space: int) -> Workload:
    """Set every key of the key space once (in a run of as many requests)."""
    bodies = [wire.pack(key_name(number)) for number in range(key_space)]
    return Workload({"op": "put", "value": b"x" * value_bytes}, "key", bodies)


def lease_grants(ttl_seconds: int) -> Workload:
    """Grant leases."""
    return Workload({"op": "lease_grant"}, "TTL", (wire.pack(ttl_seconds),))


def lease_keep_alives(lease_ids: Sequence[int], random: Random) -> Workload:
    """Renew leases, chosen at random."""
    bodies = [wire.pack(lease_id) for lease_id in lease_ids]
    return Workload({"op": "lease_keep_alive"}, "ID", random.choices(bodies, k=BODIES_MAX))


def _keys(key_space: int, random: Random) -> list[bytes]:
    numbers = (random.randrange(key_space) for _ in range(BODIES_MAX))
    return [wire.pack(key_name(number)) for number in numbers]
