"""From the fields of a `txn` to a transaction that may be proposed, or to the error to reply with.

Both branches are checked here, before anything is proposed, by etcd's rules and in its order: the
number of operations, the fields of each, and whether one key would be changed twice. The store
checks what depends on its state.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection
from typing import Any, Final, NamedTuple

from actors.gateway.fields import (
    Fields,
    RefusedError,
    check,
    fault_of,
    kinds_of,
    shown,
    type_name,
)
from actors.gateway.keys import KeyWrite, Puts, in_txn
from actors.language.commands import (
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Range,
    Txn,
    TxnOp,
)
from cluster.faults import FAULTS
from cluster.protocol import COMPARE, OPS

TXN_DEPTH_MAX: Final = 64
"""Transactions may be nested 64 deep: each level takes some of the interpreter's stack."""

_TXN_FIELDS: Final = kinds_of(OPS["txn"].request)

_OPERANDS: Final = {
    CompareTarget.VERSION: "version",
    CompareTarget.CREATE: "create_revision",
    CompareTarget.MOD: "mod_revision",
    CompareTarget.VALUE: "value",
    CompareTarget.LEASE: "lease",
    CompareTarget.COUNT: "count",
}

_COMPARE_FIELDS: Final = kinds_of(COMPARE.fields)

_READING: Final = frozenset({Range})


class ReadOnly(NamedTuple):
    """A transaction that changes nothing, whichever branch is taken: a query, not a command."""

    txn: Txn
    serializable: bool


class Transactions:
    """Makes transactions with at most `ops_max` compares, or operations in a branch."""

    def __init__(self, puts: Puts, ops_max: int) -> None:
        self._ops_max = ops_max
        self._operations = {
            f"request_{name}": (kinds_of(OPS[name].request), make)
            for name, make in in_txn(puts).items()
        }

    def make(self, fields: Fields) -> Txn | ReadOnly:
        """The transaction that a request asks for.

        As in etcd, one with a nested transaction counts as a write, even if it changes nothing.
        """
        operations = (*fields.get("success", ()), *fields.get("failure", ()))
        serializable = bool(operations) and all(map(_is_serializable, operations))
        txn = self._txn(fields, self._ops_max, 1)
        for branch in (txn.success, txn.failure):
            # One operation changes no key twice, unless it is a transaction.
            if len(branch) > 1 or Txn in map(type, branch):
                _check_changes(branch)
        if _READING.issuperset(map(type, (*txn.success, *txn.failure))):
            return ReadOnly(txn, serializable)
        return txn

    def _txn(self, fields: Fields, ops_max: int, depth: int) -> Txn:
        if depth > TXN_DEPTH_MAX:
            raise RefusedError(fault_of(f"transactions are nested more than {TXN_DEPTH_MAX} deep"))
        check("txn", _TXN_FIELDS, fields)
        get = fields.get
        compare, success, failure = get("compare", ()), get("success", ()), get("failure", ())
        count = max(len(compare), len(success), len(failure))
        if count > ops_max:
            raise RefusedError(FAULTS["TooManyOps"])
        # As in etcd, a nested transaction may use what this one has left.
        rest = ops_max - count
        return Txn(
            tuple([_compare(each) for each in compare]),
            tuple([self._operation(each, rest, depth) for each in success]),
            tuple([self._operation(each, rest, depth) for each in failure]),
        )

    def _operation(self, operation: Any, ops_max: int, depth: int) -> TxnOp:
        if type(operation) is not dict:
            raise RefusedError(_no_map("an operation of txn", operation))
        if not operation:
            raise RefusedError(FAULTS["KeyNotFound"])  # etcd's answer to an empty operation
        if len(operation) > 1:
            raise RefusedError(fault_of("an operation of txn must have one entry only"))
        ((name, fields),) = operation.items()
        if type(fields) is not dict:
            raise RefusedError(_no_map("the value of an operation of txn", fields))
        if name == "request_txn":
            return self._txn(fields, ops_max, depth + 1)
        if name in self._operations:
            kinds, make = self._operations[name]
            check(name, kinds, fields)
            return make(fields)
        if type(name) is not str:
            raise RefusedError(fault_of(f"an operation's name must be text, not {name!r:.40}"))
        raise RefusedError(fault_of(f'unknown operation "{shown(name)}" in txn'))


def _is_serializable(operation: Any) -> bool:
    """Whether this is a serializable range; its fields were not checked yet."""
    fields = operation.get("request_range") if type(operation) is dict else None
    return type(fields) is dict and fields.get("serializable") is True


def _compare(fields: Any) -> Compare:
    if type(fields) is not dict:
        raise RefusedError(_no_map("a compare", fields))
    check("compare", _COMPARE_FIELDS, fields)
    key = fields.get("key")
    if not key:
        raise RefusedError(FAULTS["EmptyKey"])
    target = fields.get("target", CompareTarget.VERSION)
    # An operand of another target is a mistake of the client: refused, and not ignored.
    operand = _OPERANDS[target]
    for name in _OPERANDS.values():
        if name in fields and name != operand:
            text = f'a compare of {target.name} has "{operand}", not "{name}"'
            raise RefusedError(fault_of(text))
    zero: int | bytes = b"" if target is CompareTarget.VALUE else 0
    return Compare(
        target,
        fields.get("result", CompareResult.EQUAL),
        key,
        fields.get("range_end", b""),
        fields.get(operand, zero),
    )


def _no_map(what: str, value: Any) -> Any:
    return fault_of(f"{what} must be a map, not {type_name(value)}")


# --- keys that would be changed twice ---------------------------------------------------------


class _Intervals:
    """A set of keys, as disjoint intervals in order; those that touch are merged."""

    def __init__(self) -> None:
        self.starts: list[bytes] = []
        self.ends: list[bytes] = []

    def add(self, start: bytes, end: bytes) -> None:
        first, last = bisect_left(self.ends, start), bisect_right(self.starts, end)
        if first < last:
            start, end = min(start, self.starts[first]), max(end, self.ends[last - 1])
        self.starts[first:last] = [start]
        self.ends[first:last] = [end]

    def add_all(self, others: _Intervals) -> None:
        for start, end in zip(others.starts, others.ends, strict=True):
            self.add(start, end)

    def __contains__(self, key: bytes) -> bool:
        position = bisect_right(self.starts, key) - 1
        return position >= 0 and key < self.ends[position]


def _check_changes(operations: tuple[TxnOp, ...]) -> tuple[set[bytes], _Intervals]:
    """The keys that these operations put, and what they delete; RefusedError if one key is twice.

    The order is that of etcd's checkIntervals. The deletions of these operations count first, then
    the nested transactions in order, so a nested deletion after a nested put is let through. The
    puts come last. The two branches of one transaction may change the same key.
    """
    deleted = _Intervals()
    for operation in operations:
        if isinstance(operation, DeleteRange):
            end = operation.range_end or operation.key + b"\0"
            # As in etcd, this leaves out an interval with an open end (range_end "\0"), too.
            if operation.key < end:
                deleted.add(operation.key, end)
    put: set[bytes] = set()
    for operation in operations:
        if isinstance(operation, Txn):
            put_then, deleted_then = _check_changes(operation.success)
            put_else, deleted_else = _check_changes(operation.failure)
            _add_puts(put, put_then | put_else, deleted)
            deleted.add_all(deleted_then)
            deleted.add_all(deleted_else)
    _add_puts(put, [each.key for each in operations if isinstance(each, KeyWrite)], deleted)
    return put, deleted


def _add_puts(put: set[bytes], more: Collection[bytes], deleted: _Intervals) -> None:
    count = len(put) + len(more)
    put.update(more)
    if len(put) < count or (deleted.starts and any(key in deleted for key in more)):
        raise RefusedError(FAULTS["DuplicateKey"])
