"""Transactions: which branches are taken, whether they can be done, and those that only read.

Everything is decided on the state before the transaction (etcd's rule), so this module only reads
the store; `writes.py` then does what was found possible. A gateway lets no malformed transaction
pass; one that comes nevertheless is refused here as a whole, never done by half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import eq, gt, lt, ne
from typing import Any, Final, NamedTuple

from actors.language.commands import (
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Increment,
    KeyValue,
    Put,
    Range,
    Txn,
)
from actors.language.results import Failure, TxnDone, TxnResponse
from actors.store.index import end_of
from actors.store.leases import LEASE_NOT_FOUND, LeaseTable
from actors.store.mvcc import COMPACTED, FUTURE_REVISION, RevisionStore
from actors.store.ranges import (
    ANSWER_BYTES_MAX,
    ANSWER_TOO_LARGE,
    KEY_VALUE_BYTES,
    Budget,
    BudgetSpentError,
    Cursor,
    count_keys,
    read_interval,
    without_value,
)
from actors.store.steps import ITEMS_PER_STEP, Steps

KEY_NOT_FOUND: Final = Failure("KeyNotFound")
DUPLICATE_KEY: Final = Failure("DuplicateKey")
NOT_AN_INTEGER: Final = Failure("NotAnInteger")
OVERFLOW: Final = Failure("IncrementOverflow")

INTEGER_MIN: Final = -(2**63)
INTEGER_MAX: Final = 2**63 - 1
_INTEGER_BYTES_MAX: Final = len(str(INTEGER_MIN))

NESTED_REVISION: Final = 0
"""The revision in the answer to a nested transaction: as in etcd, it has none of its own."""


Operation = Put | DeleteRange | Range | Increment


class Branch(NamedTuple):
    """The operations that a transaction will do; its nested transactions are decided, too.

    `reads`: a range is among them. `is_flat`: no nested transaction is.
    """

    succeeded: bool
    operations: tuple[Operation | Branch, ...]
    reads: bool
    is_flat: bool


# --- deciding ---------------------------------------------------------------------------------


def decide(store: RevisionStore, txn: Txn, now: int) -> Steps[Branch]:
    """Which operations are to be done, by the compares at the revision `now`."""
    compares, success, failure = txn
    succeeded = True
    for compare in compares:
        # The most frequent compare is of a key as it is now: that takes no steps.
        if store.revision == now and not compare.range_end and compare.target is not _COUNT:
            succeeded = _holds_now(store, compare)
        else:
            succeeded = yield from _holds(store, compare, now)
        if not succeeded:
            break
    chosen = success if succeeded else failure
    kinds = {*map(type, chosen)}
    if Txn not in kinds:
        return Branch(succeeded, chosen, Range in kinds, True)  # type: ignore[arg-type]
    operations: list[Operation | Branch] = []
    reads = False
    for each in chosen:
        if isinstance(each, Txn):
            branch = yield from decide(store, each, now)
            reads = reads or branch.reads
            operations.append(branch)
        else:
            reads = reads or type(each) is Range
            operations.append(each)
    return Branch(succeeded, tuple(operations), reads, False)


_RESULTS: Final[dict[CompareResult, Callable[[Any, Any], bool]]] = {
    CompareResult.EQUAL: eq,
    CompareResult.GREATER: gt,
    CompareResult.LESS: lt,
    CompareResult.NOT_EQUAL: ne,
}

_FIELDS: Final = {
    CompareTarget.VERSION: KeyValue._fields.index("version"),
    CompareTarget.CREATE: KeyValue._fields.index("create_revision"),
    CompareTarget.MOD: KeyValue._fields.index("mod_revision"),
    CompareTarget.VALUE: KeyValue._fields.index("value"),
    CompareTarget.LEASE: KeyValue._fields.index("lease"),
}

_ABSENT: Final = KeyValue(b"", 0, 0, 0, b"", 0)

_COUNT: Final = CompareTarget.COUNT

_PLAIN_PUT: Final = Put(b"", b"")[2:]
"""What follows key and value in a put without a lease, a TTL, or anything to keep."""


def _holds_now(store: RevisionStore, compare: Compare) -> bool:
    """Whether a compare of one key holds for the present revision."""
    target, result, key, _, operand = compare
    live = store.index.live.get(key)
    if live is None:
        return _holds_absent(compare)
    is_value = target is CompareTarget.VALUE
    kv = store.read(live[0]).kv if is_value else without_value(key, live)
    return _RESULTS[result](kv[_FIELDS[target]], operand)


def _holds(store: RevisionStore, compare: Compare, now: int) -> Steps[bool]:
    """Whether a compare holds for all keys of its interval.

    An interval without keys is compared as a key that does not exist.
    """
    target, result, key, range_end, operand = compare
    is_so = _RESULTS[result]
    if target is _COUNT:
        return is_so((yield from count_keys(store, key, range_end, now)), operand)
    field, is_value = _FIELDS[target], target is CompareTarget.VALUE
    cursor = Cursor(store, key, range_end, now)
    is_absent = True
    while True:
        for kv in cursor.read(ITEMS_PER_STEP, with_values=is_value):
            is_absent = False
            if not is_so(kv[field], operand):
                return False
        if cursor.is_done:
            break
        yield
    return _holds_absent(compare) if is_absent else True


def _holds_absent(compare: Compare) -> bool:
    """Whether a compare holds for a key that does not exist; a compare of its value never does."""
    if compare.target is CompareTarget.VALUE:
        return False
    return _RESULTS[compare.result](_ABSENT[_FIELDS[compare.target]], compare.operand)


# --- whether it can be done -------------------------------------------------------------------


def leaves(branch: Branch) -> Sequence[Operation]:
    """The operations of a branch in order; those of nested branches come in their place."""
    if branch.is_flat:
        return branch.operations  # type: ignore[return-value]  # none of them is a branch
    return [*_leaves(branch)]


def _leaves(branch: Branch) -> Iterator[Operation]:
    for each in branch.operations:
        if isinstance(each, Branch):
            yield from _leaves(each)
        else:
            yield each


def fault_of(store: RevisionStore, leases: LeaseTable, branch: Branch) -> Failure | None:
    """Why a branch cannot be done, or None; as in etcd, changes are checked before ranges."""
    operations = leaves(branch)
    if _are_plain_puts(operations):  # most transactions have nothing else
        return None
    changes = _Changes(store, leases)
    for each in operations:
        fault = changes.fault_of(each)
        if fault is not None:
            return fault
    return _fault_of_ranges(operations, store.revision, store.compact_revision)


def _are_plain_puts(operations: Sequence[Operation]) -> bool:
    """Whether all are puts that nothing can be wrong with, whatever the store has."""
    for each in operations:  # noqa: SIM110 - a generator would cost a call for each
        if type(each) is not Put or each[2:] != _PLAIN_PUT:
            return False
    return True


class _Changes:
    """The keys and leases that the operations checked until now would change."""

    def __init__(self, store: RevisionStore, leases: LeaseTable) -> None:
        self._store = store
        self._leases = leases
        self._granted: set[int] = set()
        self._keys: set[bytes] = set()
        self._deleted: list[tuple[bytes, bytes | None]] = []

    def fault_of(self, operation: Operation) -> Failure | None:
        match operation:
            case Put():
                fault = self._fault_of_put(operation)
                self._keys.add(operation.key)
                return fault
            case Increment():
                if self._is_changed(operation.key):
                    return DUPLICATE_KEY
                self._keys.add(operation.key)
                total = incremented(self._store, operation)
                return total if isinstance(total, Failure) else None
            case DeleteRange(key, range_end):
                self._deleted.append((key, end_of(key, range_end)))
        return None

    def _fault_of_put(self, put: Put) -> Failure | None:
        if put.ignore_value or put.ignore_lease:
            if put.key not in self._store.index.live:
                return KEY_NOT_FOUND
            # The value or lease to keep must be the one there is now: if the transaction changes
            # the key before, it would be another one.
            if self._is_changed(put.key):
                return DUPLICATE_KEY
        if put.ttl_ms:
            fault = self._leases.fault_of(put.lease, put.ttl_ms, self._granted)
            self._granted.add(put.lease)
            return fault
        if put.lease and put.lease not in self._leases.table and put.lease not in self._granted:
            return LEASE_NOT_FOUND
        return None

    def _is_changed(self, key: bytes) -> bool:
        return key in self._keys or any(
            low <= key and (high is None or key < high) for low, high in self._deleted
        )


def incremented(store: RevisionStore, increment: Increment) -> int | Failure:
    """The sum that an increment comes to, or why there is none.

    Only an integer in its shortest form counts: no spaces, no "+", no leading zeros.
    """
    live = store.index.live.get(increment.key)
    total = increment.delta
    if live is not None:
        value = store.read(live[0]).kv.value
        digits = value.removeprefix(b"-")
        if len(value) > _INTEGER_BYTES_MAX or not digits.isdigit() or b"%d" % int(value) != value:
            return NOT_AN_INTEGER
        if not INTEGER_MIN <= int(value) <= INTEGER_MAX:
            return NOT_AN_INTEGER
        total += int(value)
    return total if INTEGER_MIN <= total <= INTEGER_MAX else OVERFLOW


def _fault_of_ranges(
    operations: Iterable[Operation], now: int, compact_revision: int
) -> Failure | None:
    for each in operations:
        if isinstance(each, Range):
            if each.revision > now:
                return FUTURE_REVISION
            # etcd's quirk: in a transaction a negative revision counts as compacted.
            if each.revision and each.revision < compact_revision:
                return COMPACTED
    return None


def fault_of_answers(store: RevisionStore, branch: Branch) -> Steps[Failure | None]:
    """Whether the ranges of a transaction that writes find too many keys, by the state before it.

    Once it has begun to write nothing may stop it, so this is asked first. It counts keys, not the
    bytes of their values.
    """
    left = ANSWER_BYTES_MAX // KEY_VALUE_BYTES
    for each in leaves(branch):
        if not isinstance(each, Range) or each.count_only or not each.range_end:
            continue
        at = each.revision if 0 < each.revision < store.revision else store.revision
        count = yield from count_keys(store, each.key, each.range_end, at)
        left -= min(count, each.limit) if each.limit > 0 else count
        if left < 0:
            return ANSWER_TOO_LARGE
    return None


# --- those that only read ---------------------------------------------------------------------


def read_txn(store: RevisionStore, txn: Txn, now: int) -> Steps[TxnDone | Failure]:
    """Answer a transaction without changes, at the revision `now`."""
    # The compact revision of now: a compaction between two steps must not refuse what could be read
    # at the beginning, and what it outdates is not swept before the end.
    compact_revision = store.compact_revision
    branch = yield from decide(store, txn, now)
    fault = _fault_of_ranges(leaves(branch), now, compact_revision)
    if fault is not None:
        return fault
    try:
        responses = yield from _read_branch(store, branch, now, Budget())
    except BudgetSpentError:
        return ANSWER_TOO_LARGE
    return TxnDone(now, branch.succeeded, responses)


def _read_branch(
    store: RevisionStore, branch: Branch, now: int, budget: Budget
) -> Steps[tuple[TxnResponse, ...]]:
    responses: list[TxnResponse] = []
    for each in branch.operations:
        if isinstance(each, Branch):
            inner = yield from _read_branch(store, each, now, budget)
            responses.append(TxnDone(NESTED_REVISION, each.succeeded, inner))
        else:
            assert isinstance(each, Range), "a query changes nothing"
            responses.append((yield from read_interval(store, each, now, budget)))
    return tuple(responses)
