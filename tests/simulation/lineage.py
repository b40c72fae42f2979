"""Every entry that was ever in some log, what stands before it, and who the members are there.

Log matching (Raft 5.3) and the rules of membership (dissertation 4) are checked as entries appear,
without believing what any node thinks about either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from actors.language.entries import Entry
from actors.raft.membership import FORMER_MAX, Membership, read
from tests.simulation.saved import require

Place = tuple[int, int]
"""An index and a term: they stand for one entry and all before it."""


class Known(NamedTuple):
    """One entry, the term before it, and the membership that holds from it on, and since where."""

    before: int
    entry: Entry
    membership: Membership
    since: Place


class Lineage:
    """`changes` are memberships that appeared and have not been looked at yet."""

    def __init__(self, first: Membership) -> None:
        self._first = first
        self._known: dict[Place, Known] = {}
        self.changes: list[tuple[Known, Known | None]] = []

    def add(self, prev_index: int, prev_term: int, entries: Sequence[Entry]) -> None:
        """Entries stand in some log, after that place."""
        known = self._known
        before: Known | None = None
        for entry in entries:
            require(entry.index == prev_index + 1, "entries leave a gap")
            place = (entry.index, entry.term)
            there = known.get(place)
            if there is None:
                if before is None:
                    before = known.get((prev_index, prev_term))
                there = known[place] = self._new(prev_term, entry, before)
            else:
                require(
                    there.before == prev_term and there.entry == entry,
                    f"entry {entry.index} of term {entry.term} exists twice, and differs",
                )
            before, prev_index, prev_term = there, entry.index, entry.term

    def _new(self, before_term: int, entry: Entry, before: Known | None) -> Known:
        require(before is not None or entry.index == 1, f"nobody ever held what {entry} follows")
        membership, since = (self._first, (0, 0)) if before is None else before[2:]
        changed = read(entry.command)
        if changed is None:
            return Known(before_term, entry, membership, since)
        place = (entry.index, entry.term)
        known = Known(before_term, entry, changed, place)
        earlier = self._known.get(since)
        _check_step(membership, known.membership)
        self.changes.append((known, earlier))
        return known

    def knows(self, index: int, term: int | None) -> bool:
        """Whether this entry was seen; nothing stands at index 0."""
        return not index or (index, term) in self._known

    def entry(self, place: Place) -> Entry:
        """The entry that stands at a place in some log."""
        return self._known[place].entry

    def membership(self, place: Place) -> Membership:
        """Who the members are at a place in some log."""
        return self._known[place].membership if place[0] else self._first

    def memberships(self, places: Iterable[Place]) -> list[Membership]:
        """Those that hold at some of these places, each once."""
        found: list[Membership] = []
        for place in places:
            each = self.membership(place)
            if each not in found:
                found.append(each)
        return found


def _check_step(before: Membership, after: Membership) -> None:
    """One change at a time, and through a joint membership if it concerns voters (4.3)."""
    if before.is_joint:
        require(not after.is_joint, "a joint membership follows another")
        require(after.voters == before.voters, "a change ends with other voters than it began")
    elif after.is_joint:
        require(after.outgoing == before.voters, "a change begins with other voters than there are")
    else:
        require(after.voters == before.voters, "voters changed without a joint membership")
    ids = {peer.id for peer in after.peers} - after.outgoing
    require(not before.removed & ids, "a removed member came back")
    forgotten = before.removed - after.removed
    require(len(forgotten) <= 1, "more removed members are forgotten than are removed")
    require(not forgotten or len(after.former) == FORMER_MAX, "it was forgotten too soon")
    require(not after.removed & after.voters, "a removed member is a voter again")
    require(bool(after.voters), "nobody is left")
    known = {peer.id for peer in after.peers}
    require(after.voters | after.outgoing | after.learners <= known, "a member without a URL")
