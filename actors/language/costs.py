"""How much room a command may need, by etcd's rule (server/storage/quota.go), and a result.

Only what adds to the store costs anything: what frees room must always be allowed. Knows nothing
of how much there is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from actors.language.commands import Command, Increment, KeyValue, LeaseGrant, Put, Txn, TxnOp
from actors.language.results import DeleteDone, PutDone, RangeDone, Result, TxnDone

PUT_OVERHEAD_BYTES: Final = 256
LEASE_GRANT_BYTES: Final = 64
"""What a change counts for beside key and value."""

INTEGER_BYTES: Final = 20
"""An increment writes a decimal of at most so many digits."""

RESULT_BYTES: Final = 256
"""What a result that is kept takes in memory, beside the values in it; each value likewise."""


def cost_of(command: Command | TxnOp) -> int:
    """How many bytes a command may add, by etcd's rule; 0 for what is allowed without any room."""
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
    """How many bytes of memory a result takes that is kept for a retry; the same on every node."""
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
