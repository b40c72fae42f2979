"""Very many keys, put before anything is measured: transactions of many puts each."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from cluster import wire
from cluster.bench.workload import Workload


def txns_of_puts(puts: Iterable[dict[str, Any]], puts_per_txn: int) -> Workload:
    """Carry out these puts (the fields of a `request_put`), in a run of one request a body."""
    left = iter(puts)
    bodies = []
    while some := [{"request_put": put} for put in islice(left, puts_per_txn)]:
        bodies.append(wire.pack(some))
    return Workload({"op": "txn"}, "success", bodies)
