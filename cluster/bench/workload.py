"""The requests of a load, as bytes that are made before the clock starts.

A request is a map of PROTOCOL.md. Its first field is an id of fixed width, and its last field (a
key, a lease) varies: `head(id) + body`. It refuses to know sockets.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Final, NamedTuple

from cluster import wire

FIRST_ID: Final = 0x10000
"""Ids from here on take five bytes in msgpack, in requests and in replies."""

BODIES_MAX: Final = 65_536
"""The random choices that are made before a run; a longer run repeats them."""

KEY_PREFIX: Final = "bench-"


class Workload(NamedTuple):
    """Requests of one kind: the fields that all share, and the name and values of the one that
    varies."""

    fields: dict[str, Any]
    varying: str
    bodies: Sequence[bytes]

    def head(self, request_id: int) -> bytes:
        """A request without the value that varies."""
        assert FIRST_ID <= request_id < 1 << 32, "an id that is not five bytes long"
        assert len(self.fields) <= 13, "more fields than a short map has"
        opening = bytes((0x80 | len(self.fields) + 2,))
        pairs = (wire.pack(part) for pair in self.fields.items() for part in pair)
        request = (wire.pack("id"), wire.pack(request_id), *pairs, wire.pack(self.varying))
        return opening + b"".join(request)


def key_name(number: int) -> bytes:
    """The name of a key that loads use."""
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
    """Set every key of the key space once, in a run of `key_space` requests."""
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
