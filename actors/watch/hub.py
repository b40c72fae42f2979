"""Hub: who watches what, and which watches see which events of a batch.

Watches of one span with the same wishes are one group, so what they see is found, and can be
encoded, once for all of them. Knows nothing of bytes on the wire, of time, or of the store's past.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from actors.store.commands import Change, Event, Failure
from actors.watch.spans import Span, SpanIndex

WATCHES_PER_CONNECTION_MAX: Final = 10_000
WATCHES_PER_NODE_MAX: Final = 100_000

DUPLICATE_ID: Final = "mvcc: duplicate watch ID provided on the WatchStream"
EMPTY_RANGE: Final = "mvcc: watcher range is empty"
COMPACTED: Final = "etcdserver: mvcc: required revision has been compacted"

Connection = tuple[bytes, ...]


class View(NamedTuple):
    """What a watch wants to see of the events in its span; `from_revision` 0: all that come."""

    prev_kv: bool
    no_put: bool
    no_delete: bool
    from_revision: int = 0

    def select(self, events: Sequence[Event], positions: Sequence[int]) -> Sequence[int]:
        """Those of the positions whose events it lets through."""
        if not (self.no_put or self.no_delete or self.from_revision):
            return positions
        return [position for position in positions if self._admits(events[position])]

    def _admits(self, event: Event) -> bool:
        if event.kv.mod_revision < self.from_revision:
            return False
        return not (self.no_put if event.change is Change.PUT else self.no_delete)


class Watch(NamedTuple):
    """One watch; its id is unique within its connection."""

    connection: Connection
    watch_id: int
    span: Span
    view: View


class Refused(NamedTuple):
    """A watch that cannot begin, in etcd's words."""

    reason: str


class Match(NamedTuple):
    """The watches that see the same events of a batch, and the positions of those events."""

    view: View
    watches: tuple[Watch, ...]
    positions: Sequence[int]


class _Watcher:
    """The watches of one connection; no id below `lowest_free` is free."""

    __slots__ = ("lowest_free", "watches")

    def __init__(self) -> None:
        self.watches: dict[int, Watch] = {}
        self.lowest_free = 1

    def free_id(self) -> int:
        while self.lowest_free in self.watches:
            self.lowest_free += 1
        return self.lowest_free


# A group's watches, by view. Dicts, not sets: their order is the same in every run.
_Group = dict[View, dict[tuple[Connection, int], Watch]]


class Hub:
    """All watches of one node."""

    def __init__(
        self,
        per_connection_max: int = WATCHES_PER_CONNECTION_MAX,
        per_node_max: int = WATCHES_PER_NODE_MAX,
    ) -> None:
        self._per_connection_max = per_connection_max
        self._per_node_max = per_node_max
        self._watchers: dict[Connection, _Watcher] = {}
        self._groups: dict[Span, _Group] = {}
        self._index: SpanIndex[Span] = SpanIndex()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Every connection that ever asked for a watch and is not forgotten."""
        return tuple(self._watchers)

    def meet(self, connection: Connection) -> None:
        """Know a connection from now on, whatever becomes of its watches, until it is forgotten."""
        if connection not in self._watchers:
            self._watchers[connection] = _Watcher()

    def open(
        self,
        connection: Connection,
        watch_id: int,
        span: Span,
        view: View,
        start_revision: int,
    ) -> Watch | Refused | Failure:
        """Begin a watch; id 0 takes the lowest free one. Its past is somebody else's to deliver."""
        self.meet(connection)
        watcher = self._watchers[connection]
        if start_revision < 0:
            return Refused(COMPACTED)
        if span.is_empty:
            return Refused(EMPTY_RANGE)
        if watch_id in watcher.watches:
            return Refused(DUPLICATE_ID)
        if len(watcher.watches) >= self._per_connection_max or self._count >= self._per_node_max:
            return Failure("TooManyRequests")
        watch = Watch(connection, watch_id or watcher.free_id(), span, view)
        watcher.watches[watch.watch_id] = watch
        self._join(watch)
        return watch

    def cancel(self, connection: Connection, watch_id: int) -> bool:
        """End a watch; whether there was one."""
        watcher = self._watchers.get(connection)
        if watcher is None or watch_id not in watcher.watches:
            return False
        self._leave(watcher.watches.pop(watch_id))
        watcher.lowest_free = min(watcher.lowest_free, watch_id)
        return True

    def end(self, connection: Connection) -> tuple[Watch, ...]:
        """End all watches of a connection; returns them."""
        watches = self.forget(connection)
        self.meet(connection)
        return watches

    def forget(self, connection: Connection) -> tuple[Watch, ...]:
        """End all watches of a connection that is gone; returns them."""
        watcher = self._watchers.pop(connection, None)
        if watcher is None:
            return ()
        watches = tuple(watcher.watches.values())
        for watch in watches:
            self._leave(watch)
        return watches

    def match(self, events: Sequence[Event]) -> list[Match]:
        """Who sees what of these events; a watch is in at most one match."""
        if not self._count:
            return []
        hits: dict[Span, list[int]] = {}
        at = self._index.at
        for position, event in enumerate(events):
            for span in at(event.kv.key):
                hits.setdefault(span, []).append(position)
        matches = []
        for span, positions in hits.items():
            for view, watches in self._groups[span].items():
                seen = view.select(events, positions)
                if seen:
                    matches.append(Match(view, tuple(watches.values()), seen))
        return matches

    def _join(self, watch: Watch) -> None:
        group = self._groups.get(watch.span)
        if group is None:
            group = self._groups[watch.span] = {}
            self._index.add(watch.span, watch.span)
        group.setdefault(watch.view, {})[watch.connection, watch.watch_id] = watch
        self._count += 1

    def _leave(self, watch: Watch) -> None:
        group = self._groups[watch.span]
        del group[watch.view][watch.connection, watch.watch_id]
        if not group[watch.view]:
            del group[watch.view]
        if not group:
            del self._groups[watch.span]
            self._index.remove(watch.span)
        self._count -= 1
