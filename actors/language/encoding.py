"""The parts that all replies to clients have in common, as bytes (cluster/PROTOCOL.md).

Gateway and Watch write the same headers, key-values and errors, by the functions here. Refuses to
know which client gets a reply, when, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from struct import Struct
from typing import Any, Final, NamedTuple

from actors.language.commands import Change, Event, KeyValue
from cluster import wire
from cluster.faults import FAULTS, Fault

# A map of up to 15 pairs and an array of up to 15 items open with one byte. A longer map opens with
# 3, and no reply has more than 63 pairs; a longer array opens with 5.
_MAPS: Final = tuple(
    bytes((0x80 | pairs,)) if pairs < 16 else bytes((0xDE, 0, pairs)) for pairs in range(64)
)
_ARRAYS: Final = tuple(bytes((0x90 | items,)) for items in range(16))
_LONG_ARRAY: Final = Struct(">BI")

_ID: Final = wire.pack("id")

_REASONS: Final = {
    Change.DELETED: "deleted",
    Change.LEASE_EXPIRED: "lease expired",
    Change.LEASE_REVOKED: "lease revoked",
}


ITEMS_PER_PORTION: Final = 64
"""A long list is packed 64 items at a time: a tenth of a millisecond, but for large values."""

Packing = Generator[None, None, bytes]
"""The steps to a reply that takes long."""


class Listing(NamedTuple):
    """A list of a reply that is made and packed in portions; `as_field` makes one item of it."""

    items: Sequence[Any]
    as_field: Callable[[Any], Any]


class FrameEncoder:
    """Builds replies of one member for one actor: its buffer must not be shared by threads."""

    def __init__(self, cluster_id: int, member_id: int) -> None:
        self._pack = wire.packer()
        member = {"cluster_id": cluster_id, "member_id": member_id, "revision": 0, "raft_term": 0}
        # The bytes of the header up to the revision's value; the term's pair follows that value.
        head = wire.pack(member)
        self._before_revision = wire.pack("header") + head[: head.index(b"revision") + 8]
        self.set_term(0)

    def set_term(self, term: int) -> None:
        """The Raft term that headers carry from now on."""
        self._after_revision = wire.pack("raft_term") + wire.pack(term)
        self._last_revision, self._last_header = -1, b""

    def header(self, revision: int) -> bytes:
        """The pair `header: {...}` of a reply; of reads in a burst, it is often the last one's."""
        if revision != self._last_revision:
            packed = self._before_revision + self._pack(revision) + self._after_revision
            self._last_revision, self._last_header = revision, packed
        return self._last_header

    def reply(self, request_id: bytes, revision: int, fields: dict[str, Any]) -> bytes:
        """A whole reply; `fields` are the pairs beside `id` and `header`, at most 61."""
        count = len(fields)
        pairs = memoryview(wire.pack(fields))[1 if count < 16 else 3 :]
        head = opening(request_id, count + 1)
        return b"".join((head, self.header(revision), pairs))

    def reply_in_portions(
        self, request_id: bytes, revision: int, fields: dict[str, Any]
    ) -> Packing:
        """The same reply as of `reply`, in steps; the fields may have Listings for lists."""
        parts = [opening(request_id, len(fields) + 1), self.header(revision)]
        for name, value in fields.items():
            parts.append(wire.pack(name))
            yield from _pack_in_portions(value, parts)
        return b"".join(parts)

    def acknowledgement(self, request_id: bytes, revision: int) -> bytes:
        """A reply that has nothing but a header: what most puts get."""
        return opening(request_id, 1) + self.header(revision)


def opening(request_id: bytes, pairs: int) -> bytes:
    """The first bytes of a reply with `pairs` beside the echoed id (packed; b"" for none)."""
    return _MAPS[pairs + 1] + _ID + request_id if request_id else _MAPS[pairs]


def _pack_in_portions(value: Any, parts: list[bytes]) -> Generator[None, None, None]:
    """Append the bytes of a value, portion by portion."""
    match value:
        case Listing(items, as_field):
            parts.append(array_head(len(items)))
            for start in range(0, len(items), ITEMS_PER_PORTION):
                portion = items[start : start + ITEMS_PER_PORTION]
                # At once takes half of the time that one by one does.
                packed = wire.pack([as_field(each) for each in portion])
                parts.append(packed[1 if len(portion) < 16 else 3 :])  # without its head
                yield
        case dict():
            parts.append(_MAPS[len(value)])
            for name, inner in value.items():
                parts.append(wire.pack(name))
                yield from _pack_in_portions(inner, parts)
        case list():
            parts.append(array_head(len(value)))
            for inner in value:
                yield from _pack_in_portions(inner, parts)
        case _:
            parts.append(wire.pack(value))


def array_head(items: int) -> bytes:
    """The first bytes of an array; its packed items follow."""
    return _ARRAYS[items] if items < 16 else _LONG_ARRAY.pack(0xDD, items)


def error_reply(request_id: bytes, fault: Fault, *, outcome_unknown: bool = False) -> bytes:
    """A whole error reply; `outcome_unknown` says that the request may yet take effect."""
    if outcome_unknown:
        return opening(request_id, 1) + _error_pair(fault, {"unknown": True})
    known = _ERRORS.get(fault)
    return opening(request_id, 1) + (known or _error_pair(fault, {}))


def key_value(kv: KeyValue) -> dict[str, Any]:
    """A key-value as a map of a reply: always all six fields."""
    key, create_revision, mod_revision, version, value, lease = kv
    return {
        "key": key,
        "create_revision": create_revision,
        "mod_revision": mod_revision,
        "version": version,
        "value": value,
        "lease": lease,
    }


def event_map(event: Event) -> dict[str, Any]:
    """An event as a map of a reply, with its previous value if it has one."""
    kv = event.kv
    fields: dict[str, Any]
    if event.change is Change.PUT:
        fields = {"type": "PUT", "kv": key_value(kv)}
    else:
        tombstone = {"key": kv.key, "mod_revision": kv.mod_revision}
        fields = {"type": "DELETE", "kv": tombstone, "reason": _REASONS[event.change]}
    if event.prev_kv is not None:
        fields["prev_kv"] = key_value(event.prev_kv)
    return fields


def _error_pair(fault: Fault, more: dict[str, Any]) -> bytes:
    error = {"code": fault.code, "message": fault.message, **more}
    return wire.pack("error") + wire.pack(error)


_ERRORS: Final = {fault: _error_pair(fault, {}) for fault in FAULTS.values()}
