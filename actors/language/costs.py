"""How many bytes a command may add to the store, by etcd's rule (server/storage/quota.go), and how
many a result takes in memory.

Only commands that add to the store cost anything: those that free room must always be allowed.
Refuses to know how much room there is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from actors.language.commands import Command, Increment, KeyValue, LeaseGrant, Put, Txn, TxnOp
from actors.language.results import DeleteDone, PutDone, RangeDone, Result, TxnDone

PUT_OVERHEAD_BYTES: Final = 256
LEASE_GRANT_BYTES: Final = 64
"""What a put, or a grant, counts for beside key and value."""

INTEGER_BYTES: Final = 20
"""An increment writes a decimal number of at most this length, with its sign."""

RESULT_BYTES: Final = 256
"""What a kept result takes in memory beside its key-values, and each of these beside its bytes."""


def cost_of(command: Command | TxnOp) -> int:
    """The bytes that a command may add, by etcd's rule; 0: it is allowed even without any room."""
    match command:
        case Put(key, value):
            return PUT_OVERHEAD_BYTES + len(key) + len(value)
        case Increment(key):
            return PUT_OVERHEAD_BYTES + len(key) + INTEGER_BYTES
        case LeaseGrant():
            return LEASE_GRANT_BYTES
        case Txn(_, success, failure):
            return max(sum(map(cost_of, success)), sum(map(cost_of, failure)))
        case _:
            return 0


def size_of(result: Result) -> int:
    """The bytes that a result takes in a session's record; every node must count the same."""
    match result:
        case PutDone(prev_kv=None):
            return RESULT_BYTES
        case PutDone(prev_kv=KeyValue() as previous):
            return RESULT_BYTES + _size_of_values((previous,))
        case DeleteDone(prev_kvs=found) | RangeDone(kvs=found):
            return RESULT_BYTES + _size_of_values(found)
        case TxnDone(responses=responses):
            return RESULT_BYTES + sum(map(size_of, responses))
        case _:
            return RESULT_BYTES


def _size_of_values(found: Iterable[KeyValue]) -> int:
    return sum([RESULT_BYTES + len(kv.key) + len(kv.value) for kv in found])
