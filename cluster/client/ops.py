"""The parts of a transaction: compares and operations, as values. `from cluster import ops`.

    client.txn().if_(ops.version("k") == 0).then(ops.put("k", "v")).else_(ops.get("k")).commit()

Pure: it makes the request maps of PROTOCOL.md, and refuses to send. The cluster checks the rules of
transactions, such as "a key is put at most once".
"""

from __future__ import annotations

from typing import Any, Final, Generic, NamedTuple, Self, TypeVar, Unpack

from cluster.client.requests import (
    Key,
    Named,
    interval,
    interval_fields,
    put_fields,
    range_fields,
    request,
    to_bytes,
)
from cluster.protocol import OPS, RangeOptions
from cluster.schema import Effect

K = TypeVar("K", int, Key)

INT64_MAX: Final = (1 << 63) - 1
INT64_MIN: Final = -(1 << 63)


class Compare(NamedTuple):
    """One condition of a transaction, made by comparing a subject: `version("k") == 0`.

    It is neither true nor false in Python: only the cluster can decide it. So `and`, `not` and
    `0 < version("k") < 5` raise TypeError; give `if_` several compares instead.
    """

    fields: dict[str, Any]

    def __bool__(self) -> bool:
        raise TypeError("a compare is decided by the cluster: give each of them to if_()")


class _Subject(Generic[K]):
    """The part of a key, or of each key of an interval, to compare: with ==, !=, < or >."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self, target: str, operand: str, key: Key, end: Key | None, prefix: bool, from_key: bool
    ) -> None:
        self._target = target
        self._operand = operand
        self._keys = interval(key, end, prefix, from_key)

    def _compare(self, result: str, operand: int | bytes) -> Compare:
        fields = {"key": self._keys.key, "target": self._target, "result": result}
        if self._keys.end is not None:
            fields["range_end"] = self._keys.end
        return Compare({**fields, self._operand: operand})

    def _checked(self, operand: K) -> int | bytes:
        raise NotImplementedError

    def __eq__(self, operand: K) -> Compare:  # type: ignore[override]
        return self._compare("EQUAL", self._checked(operand))

    def __ne__(self, operand: K) -> Compare:  # type: ignore[override]
        return self._compare("NOT_EQUAL", self._checked(operand))

    def __lt__(self, operand: K) -> Compare:
        return self._compare("LESS", self._checked(operand))

    def __gt__(self, operand: K) -> Compare:
        return self._compare("GREATER", self._checked(operand))

    def __bool__(self) -> bool:
        raise TypeError("compare it with ==, !=, < or >, and give that to if_()")


class Number(_Subject[int]):
    """A subject that is an integer of 64 bits. etcd has no <= n: it is sent as < n + 1."""

    def _checked(self, operand: int) -> int:
        if not isinstance(operand, int) or isinstance(operand, bool):
            raise TypeError(f"it is compared with an int, not {type(operand).__name__}")
        if not INT64_MIN <= operand <= INT64_MAX:
            raise ValueError(f"{operand} does not fit 64 bits")
        return operand

    def __le__(self, operand: int) -> Compare:
        return self < operand + 1

    def __ge__(self, operand: int) -> Compare:
        return self > operand - 1


class Text(_Subject[Key]):
    """A subject that is a value: bytes, compared bytewise. It has no <= and >=, as in etcd.

    For a key that does not exist, each compare is false, even !=.
    """

    def _checked(self, operand: Key) -> bytes:
        return to_bytes(operand)

    def __le__(self, operand: Key) -> Compare:
        raise TypeError("a value is compared with ==, !=, < or > only")

    def __ge__(self, operand: Key) -> Compare:
        raise TypeError("a value is compared with ==, !=, < or > only")


# --- subjects: of a key, or of every key of an interval (as in `Client.range`) ---


def version(
    key: Key, range_end: Key | None = None, *, prefix: bool = False, from_key: bool = False
) -> Number:
    """The number of puts of a key since it was created; 0 when it does not exist."""
    return Number("VERSION", "version", key, range_end, prefix, from_key)


def create_revision(
    key: Key, range_end: Key | None = None, *, prefix: bool = False, from_key: bool = False
) -> Number:
    """The revision that created a key; 0 when it does not exist."""
    return Number("CREATE", "create_revision", key, range_end, prefix, from_key)


def mod_revision(
    key: Key, range_end: Key | None = None, *, prefix: bool = False, from_key: bool = False
) -> Number:
    """The revision that last put a key; 0 when it does not exist."""
    return Number("MOD", "mod_revision", key, range_end, prefix, from_key)


def lease(
    key: Key, range_end: Key | None = None, *, prefix: bool = False, from_key: bool = False
) -> Number:
    """The id of a key's lease; 0 for none."""
    return Number("LEASE", "lease", key, range_end, prefix, from_key)


def value(
    key: Key, range_end: Key | None = None, *, prefix: bool = False, from_key: bool = False
) -> Text:
    """The value of a key."""
    return Text("VALUE", "value", key, range_end, prefix, from_key)


def count(
    key: Key, range_end: Key | None = None, *, prefix: bool = False, from_key: bool = False
) -> Number:
    """The number of keys in an interval; for a single key 0 or 1. Not in etcd."""
    return Number("COUNT", "count", key, range_end, prefix, from_key)


# --- operations ---


class Op(NamedTuple):
    """One operation of a branch: its kind (`request_put`), its request map, and if it writes."""

    kind: str
    fields: dict[str, Any]
    writes: bool


def put(
    key: Key,
    value: Key = b"",  # the name of the field, as in Client.put
    *,
    lease: int | Named = 0,
    prev_kv: bool = False,
    ignore_value: bool = False,
    ignore_lease: bool = False,
    ttl: float = 0,
) -> Op:
    """Set a key, as `Client.put`; its response is a PutResult."""
    return _op(put_fields(key, value, lease, prev_kv, ignore_value, ignore_lease, ttl))


def get(
    key: Key | None = None,
    range_end: Key | None = None,
    *,
    prefix: bool = False,
    from_key: bool = False,
    **options: Unpack[RangeOptions],
) -> Op:
    """Read a key, an interval or all keys, as `Client.range`; a RangeResult."""
    return _op(range_fields(interval(key, range_end, prefix, from_key), options))


def delete(
    key: Key,
    range_end: Key | None = None,
    *,
    prefix: bool = False,
    from_key: bool = False,
    prev_kv: bool = False,
) -> Op:
    """Delete a key or an interval, as `Client.delete`; a DeleteResult."""
    keys = interval(key, range_end, prefix, from_key)
    return _op(interval_fields("delete_range", keys, prev_kv=prev_kv))


def increment(key: Key, delta: int = 1) -> Op:
    """Add to a key, as `Client.increment`; an IncrementResult. Not in etcd."""
    return _op(request("increment", key=to_bytes(key), delta=delta))


def txn() -> Txn:
    """A transaction within another one, to be given to its `then` or `else_`; a TxnResult."""
    return Txn()


def _op(fields: dict[str, Any], writes: bool = True) -> Op:
    """Make an operation of a request map: in a transaction, `kind` stands for `op`."""
    name = fields.pop("op")
    return Op(f"request_{name}", fields, writes and OPS[name].effect is not Effect.READ)


class Txn:
    """A transaction: if all compares hold, the operations of `then`, else those of `else_`.

    All operations happen in one revision. Each of the three methods may be called again to add
    more. Without compares, the operations of `then` are done.
    """

    def __init__(self) -> None:
        self._compares: list[Compare] = []
        self._success: list[Op] = []
        self._failure: list[Op] = []

    def if_(self, *compares: Compare) -> Self:
        """Add conditions, which must all hold."""
        for one in compares:
            if not isinstance(one, Compare):
                raise TypeError(f"if_() takes compares such as version('k') == 0, not {one!r}")
        self._compares += compares
        return self

    def then(self, *operations: Op | Txn) -> Self:
        """Add operations to do in this order if the conditions hold."""
        self._success += map(_operation, operations)
        return self

    def else_(self, *operations: Op | Txn) -> Self:
        """Add operations to do in this order if a condition does not hold."""
        self._failure += map(_operation, operations)
        return self

    @property
    def writes(self) -> bool:
        """Whether one of its branches can change anything."""
        return any(op.writes for op in (*self._success, *self._failure))

    def fields(self) -> dict[str, Any]:
        """The request map; a new one each time."""
        return {
            "op": "txn",
            "compare": [one.fields for one in self._compares],
            "success": [{op.kind: op.fields} for op in self._success],
            "failure": [{op.kind: op.fields} for op in self._failure],
        }


def _operation(one: Op | Txn) -> Op:
    if isinstance(one, Op):
        return one
    if isinstance(one, Txn):
        return _op(one.fields(), one.writes)
    raise TypeError(f"a branch takes operations such as put('k', 'v'), not {one!r}")
