"""Request maps of PROTOCOL.md, built from what a program says. Pure.

A field with its zero value is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

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


def interval_end(key: Key, range_end: Key | None, prefix: bool, from_key: bool) -> bytes | None:
    """The range_end of an interval, None for a single key; at most one way to say it is allowed."""
    if (range_end is not None) + prefix + from_key > 1:
        raise ValueError("only one of range_end, prefix and from_key can be given")
    if prefix:
        return prefix_end(to_bytes(key))
    if from_key:
        return EVERYTHING
    return None if range_end is None else to_bytes(range_end)


def put_fields(
    key: Key,
    value: Key,
    lease: int | Lease,
    prev_kv: bool,
    ignore_value: bool = False,
    ignore_lease: bool = False,
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
    return fields


def range_fields(
    key: Key,
    range_end: bytes | None,
    limit: int = 0,
    revision: int = 0,
    serializable: bool = False,
    keys_only: bool = False,
    count_only: bool = False,
) -> dict[str, Any]:
    """The request map of a range; what is left out has its zero value."""
    fields: dict[str, Any] = {"op": "range", "key": to_bytes(key)}
    if range_end is not None:
        fields["range_end"] = range_end
    if limit:
        fields["limit"] = limit
    if revision:
        fields["revision"] = revision
    if serializable:
        fields["serializable"] = True
    if keys_only:
        fields["keys_only"] = True
    if count_only:
        fields["count_only"] = True
    return fields
