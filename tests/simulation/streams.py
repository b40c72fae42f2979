"""What watchers wish to see and are told, and whether that is all there was, in order, and true.

A stream goes on over all the nodes that serve it, one after another. Knows nothing of connections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from actors.language.commands import Change, Event
from tests.simulation.model import Past
from tests.simulation.requests import ALL, OWN
from tests.simulation.saved import require
from tests.simulation.timeline import Chance

REASONS = {
    "": Change.PUT,
    "deleted": Change.DELETED,
    "lease expired": Change.LEASE_EXPIRED,
    "lease revoked": Change.LEASE_REVOKED,
}


class Wishes(NamedTuple):
    """What a watcher wants to see, and how."""

    key: bytes = b"\0"
    range_end: bytes = b"\0"
    filters: tuple[str, ...] = ()
    prev_kv: bool = False
    keys_only: bool = False

    @property
    def fields(self) -> dict[str, Any]:
        """Of a watch_create."""
        return {**self._asdict(), "filters": list(self.filters)}

    @property
    def sees_all(self) -> bool:
        """Whether every change is one of its events."""
        return self.key == self.range_end == b"\0" and not self.filters

    def sees(self, event: Event) -> bool:
        """Whether a change is one of its events."""
        key = event.kv.key
        is_within = key == self.key
        if self.range_end:
            is_within = self.key <= key and (self.range_end == b"\0" or key < self.range_end)
        kind = "NOPUT" if event.change is Change.PUT else "NODELETE"
        return is_within and kind not in self.filters


EVERYTHING = Wishes()


def draw_wishes(chance: Chance) -> Wishes:
    """Somebody's, often for less than everything."""
    spans = (ALL, ALL, {"key": OWN.plain[1], "range_end": OWN.plain[4]}, {"key": OWN.leased[0]})
    span = {"range_end": b"", **chance.of(spans)}
    filters = chance.of(((), (), ("NOPUT",), ("NODELETE",)))
    return Wishes(**span, filters=filters, prev_kv=chance(2) == 0, keys_only=chance(4) == 0)


class Told(NamedTuple):
    """One event as a watcher was told it; `previous` is the value before, with its revision."""

    revision: int
    key: bytes
    value: bytes
    change: Change
    previous: tuple[int, bytes] | None


def told(event: Mapping[str, Any]) -> Told:
    """An event of a reply."""
    kv, before = event["kv"], event.get("prev_kv")
    previous = None if before is None else (before["mod_revision"], before["value"])
    change = REASONS[event.get("reason", "")]
    return Told(kv["mod_revision"], kv["key"], kv.get("value", b""), change, previous)


class Stream:
    """What one watcher was told. `last` is the revision up to which it has seen all there was."""

    def __init__(self, wishes: Wishes = EVERYTHING) -> None:
        self.wishes = wishes
        self.events: list[Told] = []
        self.last = 0
        # How many events had been told when it was said that this was all up to a revision.
        self._bookmarks: list[tuple[int, int]] = []
        # What was compacted away before it was told: from and to before which revision, and when.
        self._gaps: list[tuple[int, int, int]] = []

    def take(self, events: Iterable[Told]) -> None:
        """Revisions only rise, and a revision does not go on in a later frame."""
        last = self.last
        for each in events:
            require(each.revision > last, f"a watcher at {last} was told of {each.revision}")
            require(each.revision >= self.last, "a watcher was told of revisions out of order")
            self.last = each.revision
            self.events.append(each)

    def reach(self, revision: int) -> None:
        """It is said that there was nothing else up to a revision."""
        self._bookmarks.append((len(self.events), revision))
        self.last = max(self.last, revision)

    def skip(self, compact_revision: int, now_ms: int) -> None:
        """What is before a revision was compacted away: it goes on there."""
        require(
            compact_revision > self.last + 1,
            f"a watch from {self.last + 1} ended, though only {compact_revision} was compacted",
        )
        self._gaps.append((self.last + 1, compact_revision, now_ms))
        self.last = compact_revision - 1

    def judge(self, past: Past, compacted_at: Callable[[float], int]) -> None:
        """It saw the history from its beginning: no gap, nothing twice, all of a revision."""
        for _, to, at_ms in self._gaps:
            least = compacted_at(at_ms)
            require(to <= least, f"a watch ended for a compaction to {to}; the last was to {least}")
        expected = [
            event
            for revision, events in past.events.items()
            if revision <= self.last and not self._missed(revision)
            for event in events
            if self.wishes.sees(event)
        ]
        require(
            len(expected) == len(self.events),
            f"a watcher saw {len(self.events)} of {len(expected)} events up to {self.last}",
        )
        for seen, event in zip(self.events, expected, strict=True):
            self._compare(seen, event, past, compacted_at)
        for count, revision in self._bookmarks:
            late = expected[count].kv.mod_revision if count < len(expected) else revision + 1
            require(late > revision, f"a bookmark said {revision}, then {late} was told")

    def _missed(self, revision: int) -> bool:
        return any(low <= revision < high for low, high, _ in self._gaps)

    def _compare(
        self, seen: Told, event: Event, past: Past, compacted_at: Callable[[float], int]
    ) -> None:
        change, kv, _ = event
        value = b"" if self.wishes.keys_only else kv.value
        expected = (kv.mod_revision, kv.key, value, change)
        require(seen[:4] == expected, f"a watcher saw {seen}, but there was {event}")
        before = past.before(kv.mod_revision, kv.key)
        if seen.previous is None:
            # It may have been compacted away.
            wanted = self.wishes.prev_kv and before is not None
            gone = wanted and before is not None and kv.mod_revision <= compacted_at(float("inf"))
            require(not wanted or gone, f"a watcher saw {seen} without {before}")
            return
        assert self.wishes.prev_kv, f"nobody wanted to see {seen.previous}"
        require(before is not None, f"a watcher saw {seen}, before which there was nothing")
        assert before is not None
        shown = b"" if self.wishes.keys_only else before["value"]
        found = (before["mod_revision"], shown)
        require(seen.previous == found, f"a watcher saw {seen}, but before there was {found}")
