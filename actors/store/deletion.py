"""The changes of a deletion of very many keys, each made when somebody asks for it.

All that they say is in their keys and one revision. So a million of them take no time and little
memory until they are written, told or read, which is done a portion at a time. Knows nothing of who
asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple, overload

from actors.language.commands import Change, Event, KeyValue

_DELETED: Final = Change.DELETED
_new: Final = tuple.__new__


class Deletion(Sequence[Event]):
    """What one revision has deleted, in order; `first` is the position of its first change.

    As in etcd, the event of a deletion has the key and its mod_revision only.
    """

    __slots__ = ("_revision", "first", "keys")

    def __init__(self, revision: int, first: int, keys: list[bytes]) -> None:
        self._revision = revision
        self.first = first
        self.keys = keys

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, at: int) -> Event: ...

    @overload
    def __getitem__(self, at: slice) -> list[Event]: ...

    def __getitem__(self, at: int | slice) -> Event | list[Event]:
        if isinstance(at, slice):
            return [self._event(key) for key in self.keys[at]]
        return self._event(self.keys[at])

    def get(self, position: int) -> Event | None:
        """The change at a position, None if it is not one of these."""
        at = position - self.first
        return self._event(self.keys[at]) if 0 <= at < len(self.keys) else None

    def since(self, start: int) -> Iterator[tuple[int, Event]]:
        """The changes from a position on, in order, with their positions."""
        for at in range(max(0, start - self.first), len(self.keys)):
            yield self.first + at, self._event(self.keys[at])

    def position_of(self, key: bytes) -> int:
        """Where a key, one of these, was deleted."""
        return self.first + bisect_left(self.keys, key)

    def _event(self, key: bytes) -> Event:
        kv = _new(KeyValue, (key, 0, self._revision, 0, b"", 0))
        return _new(Event, (_DELETED, kv, None))


class Joined(Sequence[Event]):
    """Several sequences of events as one."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Sequence[Sequence[Event]]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    @overload
    def __getitem__(self, at: int) -> Event: ...

    @overload
    def __getitem__(self, at: slice) -> list[Event]: ...

    def __getitem__(self, at: int | slice) -> Event | list[Event]:
        if isinstance(at, slice):
            start, stop, _ = at.indices(len(self))
            found: list[Event] = []
            for part in self._parts:
                found += part[max(0, start) : max(0, stop)]
                start, stop = start - len(part), stop - len(part)
            return found
        for part in self._parts:
            if at < len(part):
                return part[at]
            at -= len(part)
        raise IndexError("there are not as many events")


Told = tuple[Event, ...] | Joined
"""What watchers are told at once, in order."""


class EventsAside(NamedTuple):
    """What watchers were not told of yet: all up to the last deletion of very many keys in
    `before`, and `events` after that.
    """

    before: list[Sequence[Event]]
    events: list[Event]

    @property
    def told(self) -> Told:
        """All of it, in order."""
        return Joined([*self.before, tuple(self.events)]) if self.before else tuple(self.events)


class LargeChanges(Mapping[int, Event]):
    """Changes by position, in order, with deletions among them; others are added at the end."""

    def __init__(self, changes: Changes, deletion: Deletion) -> None:
        self._last: dict[int, Event] = {}
        self.parts: list[dict[int, Event] | Deletion] = [*parts_of(changes), deletion, self._last]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(map(_positions, self.parts))

    def __getitem__(self, position: int) -> Event:
        for part in self.parts:
            event = part.get(position)
            if event is not None:
                return event
        raise KeyError(position)

    def __setitem__(self, position: int, event: Event) -> None:
        self._last[position] = event

    def update(self, events: enumerate[Event]) -> None:
        """Add changes that come after all others, by position."""
        self._last.update(events)


Changes = dict[int, Event] | LargeChanges
"""Changes by position, in order."""


def parts_of(changes: Changes) -> list[dict[int, Event] | Deletion]:
    """The changes in parts, in order."""
    return changes.parts if isinstance(changes, LargeChanges) else [changes]


def tables_of(changes: Changes) -> list[dict[int, Event]]:
    """The parts that hold their changes, each made already."""
    return [part for part in parts_of(changes) if isinstance(part, dict)]


def since(changes: Changes, start: int) -> Iterator[tuple[int, Event]]:
    """The changes from a position on as they are now, in order; meanwhile others may be added, or
    these be freed.
    """
    return chain.from_iterable(
        [
            part.since(start) if isinstance(part, Deletion) else _from(start, list(part.items()))
            for part in parts_of(changes)
        ]
    )


def _from(start: int, changes: list[tuple[int, Event]]) -> Iterator[tuple[int, Event]]:
    return (pair for pair in changes if pair[0] >= start)


def bytes_of(changes: Changes) -> int:
    """The bytes of the keys and values in these changes."""
    size = 0
    for part in parts_of(changes):
        if isinstance(part, Deletion):
            size += sum(map(len, part.keys))
        else:
            size += sum([len(kv.key) + len(kv.value) for _, kv, _ in part.values()])
    return size


def _positions(part: dict[int, Event] | Deletion) -> Iterator[int]:
    if isinstance(part, Deletion):
        return iter(range(part.first, part.first + len(part)))
    return iter(part)
