"""The parts of a transaction: `client.transactions.value("k") == "v"`, `.put("k", "v")`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final, NamedTuple, Self

from cluster.client import ops
from cluster.client.requests import Key
from cluster.compat.etcd3.etcdrpc import Compare, CompareResult, CompareTarget
from cluster.compat.etcd3.utils import lease_to_id, to_bytes

_SIGNS: Final = {
    CompareResult.EQUAL: "==",
    CompareResult.NOT_EQUAL: "!=",
    CompareResult.LESS: "<",
    CompareResult.GREATER: ">",
}

_OPERANDS: Final = {
    CompareTarget.VALUE: "value",
    CompareTarget.VERSION: "version",
    CompareTarget.CREATE: "create_revision",
    CompareTarget.MOD: "mod_revision",
}
"""The name of the field with the operand."""


class BaseCompare:
    """What of a key (or of each key up to `range_end`) to compare; a comparison makes another one,
    with `op` and `value`."""

    target: ClassVar[CompareTarget]

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, key: Key, range_end: Key | None = None) -> None:
        self.key = key
        self.range_end = range_end
        self.op: CompareResult | None = None
        self.value: Any = None

    def __eq__(self, other: object) -> Self:  # type: ignore[override]
        return self._compared(CompareResult.EQUAL, other)

    def __ne__(self, other: object) -> Self:  # type: ignore[override]
        return self._compared(CompareResult.NOT_EQUAL, other)

    def __lt__(self, other: object) -> Self:
        return self._compared(CompareResult.LESS, other)

    def __gt__(self, other: object) -> Self:
        return self._compared(CompareResult.GREATER, other)

    def __bool__(self) -> bool:
        raise TypeError("a compare is decided by the cluster: give each of them to transaction()")

    def __repr__(self) -> str:
        keys = f"{self.key!r}" if self.range_end is None else f"{self.key!r}, {self.range_end!r}"
        subject = f"{type(self).__name__}({keys})"
        return subject if self.op is None else f"{subject} {_SIGNS[self.op]} {self.value!r}"

    def build_message(self) -> Compare:
        """The condition; ValueError if nothing is compared."""
        if self.op is None:
            raise ValueError(f"{self!r} is to be compared by ==, !=, < or >")
        end = b"" if self.range_end is None else to_bytes(self.range_end)
        return Compare(to_bytes(self.key), end, self.target, self.op, self._operand())

    def _operand(self) -> bytes | int:
        return int(self.value)

    def _compared(self, op: CompareResult, value: object) -> Self:
        condition = type(self)(self.key, self.range_end)
        condition.op = op
        condition.value = value
        return condition


class Value(BaseCompare):
    """The value of a key."""

    target = CompareTarget.VALUE

    def _operand(self) -> bytes:
        return to_bytes(self.value)


class Version(BaseCompare):
    """The number of puts since the key was created; 0 when there is no such key."""

    target = CompareTarget.VERSION


class Create(BaseCompare):
    """The revision that created the key; 0 when there is no such key."""

    target = CompareTarget.CREATE


class Mod(BaseCompare):
    """The revision that last put the key; 0 when there is no such key."""

    target = CompareTarget.MOD


class Put(NamedTuple):
    """Set a key."""

    key: Key
    value: Key
    lease: Any = None
    prev_kv: bool = False


class Get(NamedTuple):
    """Read a key, or the keys up to `range_end`."""

    key: Key
    range_end: Key | None = None


class Delete(NamedTuple):
    """Delete a key, or the keys up to `range_end`."""

    key: Key
    range_end: Key | None = None
    prev_kv: bool = False


class Txn(NamedTuple):
    """A transaction within a transaction."""

    compare: Sequence[BaseCompare]
    success: Sequence[Operation] | None = None
    failure: Sequence[Operation] | None = None


Operation = Put | Get | Delete | Txn


class Transactions:
    """`client.transactions`: the parts of a transaction by their names there."""

    value = Value
    version = Version
    create = Create
    mod = Mod
    put = Put
    get = Get
    delete = Delete
    txn = Txn


def conditions(compare: Iterable[BaseCompare]) -> list[ops.Compare]:
    """The conditions of a transaction, as the client takes them."""
    return [_condition(one.build_message()) for one in compare]


def operations(branch: Iterable[Operation] | None) -> list[ops.Op | ops.Txn]:
    """The operations of a branch, as the client takes them."""
    return [_operation(one) for one in branch or ()]


def _condition(message: Compare) -> ops.Compare:
    fields: dict[str, Any] = {
        "key": message.key,
        "target": message.target.name,
        "result": message.result.name,
        _OPERANDS[message.target]: message.operand,
    }
    if message.range_end:
        fields["range_end"] = message.range_end
    return ops.Compare(fields)


def _operation(one: Operation) -> ops.Op | ops.Txn:
    match one:
        case Put():
            lease = lease_to_id(one.lease)
            return ops.put(one.key, one.value, lease=lease, prev_kv=one.prev_kv)
        case Get():
            return ops.get(one.key, one.range_end)
        case Delete():
            return ops.delete(one.key, one.range_end, prev_kv=one.prev_kv)
        case Txn():
            inner = ops.txn().if_(*conditions(one.compare))
            return inner.then(*operations(one.success)).else_(*operations(one.failure))
    raise TypeError(f"a branch has what client.transactions makes, not {one!r}")
