"""The replies of watches, as bytes (cluster/PROTOCOL.md, Watches).

A batch is encoded once for all watches: each event once for each way of showing it, and each list
of events once. A watch adds only its id. Knows nothing of which watch sees what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from actors.language.commands import Event
from actors.language.encoding import FrameEncoder, array_head, event_map, opening
from actors.watch.audience import EVENTS_PER_STEP, View
from cluster import wire

EVENTS_PER_REPLY_MAX: Final = 1_000
BYTES_PER_REPLY_MAX: Final = 1024 * 1024
"""A reply that reaches 1,000 events or 1 MiB ends with that revision, and another one follows."""

_WATCH_ID: Final = wire.pack("watch_id")
_EVENTS: Final = wire.pack("events")
WHOLE: Final = opening(b"", 3) + _WATCH_ID
"""How a whole reply begins, and the last fragment of one: a map of three fields."""

PART: Final = opening(b"", 4) + _WATCH_ID
FRAGMENT: Final = wire.pack("fragment") + wire.pack(True)
"""How any other fragment begins, and the fourth field with which it ends: more is to come."""

Reply = tuple[bytes, bytes]
"""A reply with events in two parts, since it is shared: each watch puts its id between them."""


class WatchFrames(FrameEncoder):
    """Builds every reply of a watch; `request_id` is packed, b"" for none."""

    @property
    def pack(self) -> Callable[[int], bytes]:
        """Packs the watch id that comes between the two parts of a Reply.

        Its buffer belongs to this actor: only the actor's own thread may call it.
        """
        return self._pack

    def created(self, request_id: bytes, revision: int, watch_id: int) -> bytes:
        """The watch exists; events after `revision` will follow."""
        return self.reply(request_id, revision, {"watch_id": watch_id, "created": True})

    def refused(self, request_id: bytes, revision: int, reason: str) -> bytes:
        """The watch was not created; as in etcd, the id -1 says so."""
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
        """The watch has ended; `compact_revision` is the first that can still be watched from."""
        fields: dict[str, Any] = {"watch_id": watch_id, "canceled": True, "cancel_reason": reason}
        if compact_revision:
            fields["compact_revision"] = compact_revision
        return self.reply(request_id, revision, fields)

    def bookmark(self, request_id: bytes, revision: int) -> bytes:
        """All events up to `revision` were delivered to the watches of this connection."""
        return self.reply(request_id, revision, {"watch_id": -1, "events": []})

    def progress(self, watch_id: int, revision: int) -> bytes:
        """All events up to `revision` were delivered to this watch."""
        return self.reply(b"", revision, {"watch_id": watch_id, "events": []})


class EventBatch:
    """The events of whole revisions up to `revision`, encoded when a view first asks for them.

    With `keeps` an event's bytes are kept for other views: of very many events that is too much.
    """

    def __init__(
        self,
        frames: WatchFrames,
        revision: int,
        events: Sequence[Event],
        fragment_bytes_max: int,
        *,
        keeps: bool = True,
    ) -> None:
        self._frames = frames
        self._keeps = keeps
        self._revision = revision
        self._events = events
        self._fragment_bytes_max = fragment_bytes_max
        self._packed: dict[tuple[int, bool, bool], bytes] = {}
        self._replies: dict[tuple[bool, bool, bool, tuple[int, ...]], list[Reply]] = {}

    def replies(self, positions: Sequence[int], view: View) -> list[Reply]:
        """The replies with the events at these positions, in order, as this view wants them."""
        key = (view.prev_kv, view.keys_only, view.fragment, tuple(positions))
        replies = self._replies.get(key)
        if replies is None:
            replies = self._replies[key] = self._made(positions, view)
        return replies

    def _made(self, positions: Sequence[int], view: View) -> list[Reply]:
        if len(positions) == 1:  # the most frequent case of all
            event = self._event(positions[0], view)
            return self._whole(self._revision, [event], len(event), view)
        return [reply for made in self.made(positions, view) for reply in made]

    def made(self, positions: Sequence[int], view: View) -> Iterator[list[Reply]]:
        """The same replies in steps, and not kept: each step gives those that it has made."""
        packed: list[bytes] = []
        size = 0
        previous_revision = 0
        for count, position in enumerate(positions, start=1):
            if not count % EVENTS_PER_STEP:
                yield []
            revision = self._events[position].kv.mod_revision
            full = len(packed) >= EVENTS_PER_REPLY_MAX or size >= BYTES_PER_REPLY_MAX
            # Only between two revisions: as in etcd, a client never sees half a transaction.
            if full and revision != previous_revision:
                yield self._whole(previous_revision, packed, size, view)
                packed = []
                size = 0
            event = self._event(position, view)
            packed.append(event)
            size += len(event)
            previous_revision = revision
        yield self._whole(self._revision, packed, size, view)

    def _whole(self, revision: int, packed: list[bytes], size: int, view: View) -> list[Reply]:
        """One reply with these events, or fragments if it is too large and the view allows them."""
        header = self._frames.header(revision)
        if not view.fragment or size <= self._fragment_bytes_max:
            return [(WHOLE, b"".join((header, _EVENTS, array_head(len(packed)), *packed)))]
        parts = list(_parts(packed, self._fragment_bytes_max))
        last = parts.pop()
        return [
            *[(PART, _tail(header, part, FRAGMENT)) for part in parts],
            (WHOLE, _tail(header, last, b"")),
        ]

    def _event(self, position: int, view: View) -> bytes:
        event = self._events[position]
        with_previous = view.prev_kv and event.prev_kv is not None
        key = (position, with_previous, view.keys_only)
        packed = self._packed.get(key)
        if packed is None:
            if not with_previous and event.prev_kv is not None:
                event = event._replace(prev_kv=None)
            if view.keys_only:
                event = _without_values(event)
            packed = wire.pack(event_map(event))
            if self._keeps:
                self._packed[key] = packed
        return packed


def _without_values(event: Event) -> Event:
    previous = event.prev_kv
    if previous is not None:
        previous = previous._replace(value=b"")
    return event._replace(kv=event.kv._replace(value=b""), prev_kv=previous)


def _tail(header: bytes, packed: list[bytes], more: bytes) -> bytes:
    return b"".join((header, _EVENTS, array_head(len(packed)), *packed, more))


def _parts(packed: list[bytes], bytes_max: int) -> Iterator[list[bytes]]:
    """Events in parts of at most `bytes_max`; an event above that is a part by itself."""
    part: list[bytes] = []
    size = 0
    for event in packed:
        if part and size + len(event) > bytes_max:
            yield part
            part, size = [], 0
        part.append(event)
        size += len(event)
    yield part
