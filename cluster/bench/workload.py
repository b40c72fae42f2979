"""The requests of a load, as bytes that are made before the clock starts.

A request is a map of PROTOCOL.md. Its first field is an id of fixed width, and its last field (a
key, a lease) varies: `head(id) + body`. Where several fields vary, the body is the value of the
first of them and then the others whole. It refuses to know sockets.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Any, Final, NamedTuple

from cluster import wire

FIRST_ID: Final = 0x10000
"""Ids from here on take five bytes in msgpack, in requests and in replies."""

BODIES_MAX: Final = 65_536
"""The random choices that are made before a run; a longer run repeats them."""

KEY_PREFIX: Final = "bench-"

GETS_PERCENT: Final = 80
"""Of a mixed load; the others are puts."""

ZIPF_EXPONENT: Final = 0.99
"""How much more often the first keys are used than the last, in a mixed load; YCSB's value."""


class Workload(NamedTuple):
    """Requests of one kind: the fields that all share, and the name and values of the one that
    varies; `more_fields` is the number of fields that a body has after that value."""

    fields: dict[str, Any]
    varying: str
    bodies: Sequence[bytes]
    more_fields: int = 0

    def showing(self, shown: dict[str, str]) -> Workload:
        """The same requests, which show who asks."""
        return self._replace(fields={**self.fields, **shown})

    def head(self, request_id: int) -> bytes:
        """A request without the value that varies."""
        assert FIRST_ID <= request_id < 1 << 32, "an id that is not five bytes long"
        fields = len(self.fields) + 2 + self.more_fields
        assert fields <= 15, "more fields than a short map has"
        opening = bytes((0x80 | fields,))
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


def txns(value_bytes: int, key_space: int, random: Random) -> Workload:
    """Set random keys of the key space, each in a transaction with a compare that is true."""
    value = b"x" * value_bytes
    bodies = [_txn(key_name(number), value) for number in range(key_space)]
    return Workload({"op": "txn"}, "compare", random.choices(bodies, k=BODIES_MAX), 1)


def _txn(key: bytes, value: bytes) -> bytes:
    compare = {"key": key, "target": "VERSION", "result": "GREATER", "version": -1}
    put = {"request_put": {"key": key, "value": value}}
    return wire.pack([compare]) + wire.pack("success") + wire.pack([put])


def mixed(value_bytes: int, key_space: int, random: Random) -> Workload:
    """Read a key (GETS_PERCENT of all requests) or set it; the first keys most often, by Zipf."""
    value = wire.pack("value") + wire.pack(b"x" * value_bytes)
    # As many fields as a put has.
    linearizable = wire.pack("serializable") + wire.pack(False)
    weights = accumulate((number + 1) ** -ZIPF_EXPONENT for number in range(key_space))
    numbers = random.choices(range(key_space), cum_weights=list(weights), k=BODIES_MAX)
    bodies: list[bytes] = []
    for number in numbers:
        is_get = random.randrange(100) < GETS_PERCENT
        op, last = ("range", linearizable) if is_get else ("put", value)
        key = wire.pack("key") + wire.pack(key_name(number))
        bodies.append(wire.pack(op) + key + last)
    return Workload({}, "op", bodies, 2)


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
