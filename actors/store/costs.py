"""How much room a command may need, by etcd's rule (server/storage/quota.go).

Only what adds to the store costs anything: what frees room must always be allowed. Knows nothing
of how much there is.
"""

from __future__ import annotations

from typing import Final

from actors.store.commands import Command, Increment, LeaseGrant, Put, Txn, TxnOp

PUT_OVERHEAD_BYTES: Final = 256
LEASE_GRANT_BYTES: Final = 64
"""What a change counts for beside key and value."""

INTEGER_BYTES: Final = 20
"""An increment writes a decimal of at most so many digits."""


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
