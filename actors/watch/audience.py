"""Audience: watches that are told the same batch of events, and which watch sees which event.

Watches of one span with the same view are one group: what they see is found, and can be encoded,
once for all of them. Knows nothing of bytes on the wire, or of what was told before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from actors.language.auth import NOBODY, Principal
from actors.language.commands import Change, Event
from actors.language.messages import Connection
from actors.watch.spans import Span, SpanIndex

EVENTS_PER_STEP: Final = 256
"""Of very many events 256 are matched, or encoded, in one step."""


class View(NamedTuple):
    """What a watch wants to see of the events in its span, and how.

    Events before `from_revision` are left out. With `fragment` a reply that is too large comes in
    parts. With `progress` a watch without events is told from time to time how far it is. With
    `without_leader` it goes on while the node knows no leader.
    """

    prev_kv: bool
    no_put: bool
    no_delete: bool
    from_revision: int = 0
    keys_only: bool = False
    fragment: bool = False
    progress: bool = False
    without_leader: bool = False

    def select(self, events: Sequence[Event], positions: Sequence[int]) -> Sequence[int]:
        """The positions whose events this view lets through."""
        if not (self.no_put or self.no_delete or self.from_revision):
            return positions
        return [position for position in positions if self._admits(events[position])]

    def _admits(self, event: Event) -> bool:
        if event.kv.mod_revision < self.from_revision:
            return False
        return not (self.no_put if event.change is Change.PUT else self.no_delete)


class Watch(NamedTuple):
    """One watch; its id is unique within its connection. `principal`: for whom it watches."""

    connection: Connection
    watch_id: int
    span: Span
    view: View
    principal: Principal = NOBODY


class Match(NamedTuple):
    """Watches that see the same events of a batch, and where in the batch these events are."""

    view: View
    watches: tuple[Watch, ...]
    positions: Sequence[int]


# The watches of one span, by view. Dicts, not sets: the order of a dict is the same in every run,
# so a simulation can be replayed.
_Group = dict[View, dict[tuple[Connection, int], Watch]]


class Audience:
    """Watches that have seen everything before `revision`; 0 for those that are live."""

    __slots__ = ("_groups", "_index", "connections", "revision")

    def __init__(self, revision: int = 0) -> None:
        self.revision = revision
        # How many watches each connection has here.
        self.connections: dict[Connection, int] = {}
        self._groups: dict[Span, _Group] = {}
        self._index: SpanIndex[Span] = SpanIndex()

    def __bool__(self) -> bool:
        return bool(self._groups)

    def __iter__(self) -> Iterator[Watch]:
        for group in self._groups.values():
            for watches in group.values():
                yield from watches.values()

    @property
    def spans(self) -> tuple[Span, ...]:
        """The spans that are watched here, each once."""
        return tuple(self._groups)

    @property
    def views(self) -> Iterator[tuple[View, tuple[Watch, ...]]]:
        """The groups of watches with the same span and view."""
        for group in self._groups.values():
            for view, watches in group.items():
                yield view, tuple(watches.values())

    def add(self, watch: Watch) -> None:
        """Add a watch that is not here."""
        group = self._groups.get(watch.span)
        if group is None:
            group = self._groups[watch.span] = {}
            self._index.add(watch.span, watch.span)
        group.setdefault(watch.view, {})[watch.connection, watch.watch_id] = watch
        self.connections[watch.connection] = self.connections.get(watch.connection, 0) + 1

    def remove(self, watch: Watch) -> None:
        """Remove a watch that is here."""
        group = self._groups[watch.span]
        del group[watch.view][watch.connection, watch.watch_id]
        if not group[watch.view]:
            del group[watch.view]
        if not group:
            del self._groups[watch.span]
            self._index.remove(watch.span)
        self.connections[watch.connection] -= 1
        if not self.connections[watch.connection]:
            del self.connections[watch.connection]

    def match(self, events: Sequence[Event]) -> list[Match]:
        """Which watches see which of these events; a watch is in at most one match."""
        if not self._groups:
            return []
        hits: dict[Span, list[int]] = {}
        self._find(events, 0, hits)
        return [match for span in hits for match in self._matches(events, span, hits[span])]

    def match_in_portions(self, events: Sequence[Event]) -> Iterator[list[Match]]:
        """The same for very many events, in steps; each gives the matches that it has found.

        Between two steps watches may go, and none may come.
        """
        hits: dict[Span, list[int]] = {}
        for start in range(0, len(events) if self._groups else 0, EVENTS_PER_STEP):
            self._find(events[start : start + EVENTS_PER_STEP], start, hits)
            yield []
        for span, positions in hits.items():
            yield self._matches(events, span, positions)

    def _find(self, events: Sequence[Event], first: int, hits: dict[Span, list[int]]) -> None:
        """Note for each span the positions of its events; that of the first one is given."""
        at = self._index.at
        for position, event in enumerate(events, first):
            for span in at(event.kv.key):
                hits.setdefault(span, []).append(position)

    def _matches(
        self, events: Sequence[Event], span: Span, positions: Sequence[int]
    ) -> list[Match]:
        # A watch is in one span and has one view, so it is in one match at most.
        return [
            Match(view, tuple(watches.values()), seen)
            for view, watches in self._groups.get(span, {}).items()
            if (seen := view.select(events, positions))
        ]
