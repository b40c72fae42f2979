"""The replies of watches, as bytes (cluster/PROTOCOL.md, Watches).

A batch of events is encoded once: each event once with and once without its previous value, each
set of events once, and a watch adds only its id. Knows nothing of who watches what.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from actors.encoding import FrameEncoder, array_head, key_value, opening
from actors.store.commands import Change, Event
from cluster import wire

EVENTS_PER_REPLY_MAX: Final = 1_000
REPLY_BYTES_MAX: Final = 1024 * 1024
"""A reply that has passed either bound ends with the revision it is in, and another one follows."""

_REASONS: Final = {
    Change.DELETED: "deleted",
    Change.LEASE_EXPIRED: "lease expired",
    Change.LEASE_REVOKED: "lease revoked",
}

_EVENTS_HEAD: Final = opening(b"", 3) + wire.pack("watch_id")
_EVENTS: Final = wire.pack("events")


class WatchFrames(FrameEncoder):
    """Builds every reply of a watch; `request_id` is packed, b"" for none."""

    def created(self, request_id: bytes, revision: int, watch_id: int) -> bytes:
        """The watch exists; what happens after `revision` will follow."""
        return self.reply(request_id, revision, {"watch_id": watch_id, "created": True})

    def refused(self, request_id: bytes, revision: int, reason: str) -> bytes:
        """The watch never came to be; etcd says so by an id that no watch has."""
        fields = {"watch_id": -1, "created": True, "canceled": True, "cancel_reason": reason}
        return self.reply(request_id, revision, fields)

    def canceled(
        self,
        request_id: bytes,
        revision: int,
        watch_id: int,
        reason: str,
        compact_revision: int = 0,
    ) -> bytes:
        """The watch has ended; `compact_revision` is the oldest that can still be watched."""
        fields: dict[str, Any] = {"watch_id": watch_id, "canceled": True, "cancel_reason": reason}
        if compact_revision:
            fields["compact_revision"] = compact_revision
        return self.reply(request_id, revision, fields)

    def bookmark(self, request_id: bytes, revision: int) -> bytes:
        """All that happened up to `revision` was delivered to this connection."""
        return self.reply(request_id, revision, {"watch_id": -1, "events": []})

    def events(self, watch_id: int, tail: bytes) -> bytes:
        """A reply with events, from a tail that a batch has made."""
        return _EVENTS_HEAD + self._pack(watch_id) + tail


class EventBatch:
    """Events up to `revision`, ordered and with whole revisions, encoded as they are asked for."""

    def __init__(self, frames: WatchFrames, revision: int, events: Sequence[Event]) -> None:
        self._frames = frames
        self._revision = revision
        self._events = events
        self._packed: dict[tuple[int, bool], bytes] = {}
        self._tails: dict[tuple[bool, tuple[int, ...]], list[bytes]] = {}

    def tails(self, positions: Sequence[int], prev_kv: bool) -> list[bytes]:
        """What follows the watch id in the replies with the events at these positions, in order."""
        key = (prev_kv, tuple(positions))
        tails = self._tails.get(key)
        if tails is None:
            tails = self._tails[key] = self._made(positions, prev_kv)
        return tails

    def _made(self, positions: Sequence[int], prev_kv: bool) -> list[bytes]:
        tails: list[bytes] = []
        packed: list[bytes] = []
        size = 0
        previous_revision = 0
        for position in positions:
            revision = self._events[position].kv.mod_revision
            full = len(packed) >= EVENTS_PER_REPLY_MAX or size >= REPLY_BYTES_MAX
            # Between two revisions only: one revision's events are in one reply.
            if full and revision != previous_revision:
                tails.append(self._tail(previous_revision, packed))
                packed = []
                size = 0
            event = self._event(position, prev_kv)
            packed.append(event)
            size += len(event)
            previous_revision = revision
        tails.append(self._tail(self._revision, packed))
        return tails

    def _tail(self, revision: int, packed: list[bytes]) -> bytes:
        head = (self._frames.header(revision), _EVENTS, array_head(len(packed)))
        return b"".join((*head, *packed))

    def _event(self, position: int, prev_kv: bool) -> bytes:
        event = self._events[position]
        key = (position, prev_kv and event.prev_kv is not None)
        packed = self._packed.get(key)
        if packed is None:
            packed = self._packed[key] = wire.pack(_event_map(event, prev_kv))
        return packed


def _event_map(event: Event, prev_kv: bool) -> dict[str, Any]:
    kv = event.kv
    fields: dict[str, Any]
    if event.change is Change.PUT:
        fields = {"type": "PUT", "kv": key_value(kv)}
    else:
        tombstone = {"key": kv.key, "mod_revision": kv.mod_revision}
        fields = {"type": "DELETE", "kv": tombstone, "reason": _REASONS[event.change]}
    if prev_kv and event.prev_kv is not None:
        fields["prev_kv"] = key_value(event.prev_kv)
    return fields
