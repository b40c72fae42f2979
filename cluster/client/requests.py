"""Request maps of PROTOCOL.md, built from what a program says. Pure.

A field with its zero value is left out, except where the protocol's default is another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypedDict, get_args

from cluster.client.arguments import one_of, put_ttl

if TYPE_CHECKING:
    from cluster.client.lease import Lease

Key = bytes | bytearray | memoryview | str
"""Keys and values: bytes, or text that stands for its UTF-8 bytes. Bytes come back."""

EVERYTHING: Final = b"\0"
"""As a range_end: no end. As a key with that end: every key (etcd's convention)."""


def to_bytes(text: Key) -> bytes:
    """A key or value as bytes."""
    if isinstance(text, bytes):
        return text
    if isinstance(text, str):
        return text.encode()
    if isinstance(text, bytearray | memoryview):
        return bytes(text)
    raise TypeError(f"a key or value must be bytes or str, not {type(text).__name__}")


def prefix_end(prefix: bytes) -> bytes:
    """The range_end that makes an interval of all keys with this prefix (PROTOCOL.md)."""
    for index in range(len(prefix) - 1, -1, -1):
        if prefix[index] < 0xFF:
            return prefix[:index] + bytes([prefix[index] + 1])
    return EVERYTHING


class Interval(NamedTuple):
    """A single key (no `end`), or the keys from `key` up to `end`, as the protocol says it."""

    key: bytes
    end: bytes | None


def interval(
    key: Key | None, range_end: Key | None = None, prefix: bool = False, from_key: bool = False
) -> Interval:
    """An interval from what a program says of it; at most one way to say its end is allowed.

    Without a key it is all there are, and so is an empty prefix.
    """
    if (range_end is not None) + prefix + from_key > 1:
        raise ValueError("only one of range_end, prefix and from_key can be given")
    if key is None:
        return Interval(EVERYTHING, EVERYTHING)
    start = to_bytes(key)
    if prefix:
        return Interval(start or EVERYTHING, prefix_end(start))
    if from_key:
        return Interval(start or EVERYTHING, EVERYTHING)
    return Interval(start, None if range_end is None else to_bytes(range_end))


SortOrder = Literal["NONE", "ASCEND", "DESCEND"]
SortTarget = Literal["KEY", "VERSION", "CREATE", "MOD", "VALUE"]


class RangeOptions(TypedDict, total=False):
    """What may be said of a read besides its interval, under the names of PROTOCOL.md.

    `limit` 0 is none; `revision` 0 is now. A `serializable` read is answered by one node from what
    it has, which may be old. The bounds of revisions are inclusive, 0 is none.
    """

    limit: int
    revision: int
    serializable: bool
    keys_only: bool
    count_only: bool
    sort_order: SortOrder
    sort_target: SortTarget
    min_mod_revision: int
    max_mod_revision: int
    min_create_revision: int
    max_create_revision: int


RANGE_OPTIONS: Final = frozenset(RangeOptions.__annotations__)


def range_fields(keys: Interval, options: RangeOptions) -> dict[str, Any]:
    """The request map of a range."""
    unknown = options.keys() - RANGE_OPTIONS
    if unknown:
        raise TypeError(f"a read has no option {', '.join(sorted(unknown))}")
    one_of("sort_order", options.get("sort_order", "NONE"), get_args(SortOrder))
    one_of("sort_target", options.get("sort_target", "KEY"), get_args(SortTarget))
    fields = interval_fields("range", keys)
    fields.update((name, value) for name, value in options.items() if value)
    return fields


def interval_fields(op: str, keys: Interval) -> dict[str, Any]:
    """The request map of an operation on an interval."""
    fields: dict[str, Any] = {"op": op, "key": keys.key}
    if keys.end is not None:
        fields["range_end"] = keys.end
    return fields


def get_fields(key: Key, revision: int, serializable: bool) -> dict[str, Any]:
    """The request map of a range of one key."""
    fields: dict[str, Any] = {"op": "range", "key": to_bytes(key)}
    if revision:
        fields["revision"] = revision
    if serializable:
        fields["serializable"] = True
    return fields


def put_fields(
    key: Key,
    value: Key,
    lease: int | Lease,
    prev_kv: bool,
    ignore_value: bool = False,
    ignore_lease: bool = False,
    ttl: float = 0,
) -> dict[str, Any]:
    """The request map of a put; what is left out has its zero value."""
    fields: dict[str, Any] = {"op": "put", "key": to_bytes(key)}
    if value:
        fields["value"] = to_bytes(value)
    if lease:
        fields["lease"] = lease if isinstance(lease, int) else lease.id
    if prev_kv:
        fields["prev_kv"] = True
    if ignore_value:
        fields["ignore_value"] = True
    if ignore_lease:
        fields["ignore_lease"] = True
    if put_ttl(ttl):
        fields["TTL"] = ttl
    return fields


def delete_fields(keys: Interval, prev_kv: bool) -> dict[str, Any]:
    """The request map of a delete_range."""
    fields = interval_fields("delete_range", keys)
    if prev_kv:
        fields["prev_kv"] = True
    return fields


def increment_fields(key: Key, delta: int) -> dict[str, Any]:
    """The request map of an increment; a delta of 0 is said, for left out it is 1."""
    fields: dict[str, Any] = {"op": "increment", "key": to_bytes(key)}
    if delta != 1:
        fields["delta"] = delta
    return fields
