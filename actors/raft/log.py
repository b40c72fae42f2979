"""The log in memory: the entries after a compacted prefix, and the questions Raft asks of them.

Refuses to know what is durable (the WAL's) and what is applied (the store's).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from actors.language.entries import Entry, command_sizes
from actors.raft.membership import Membership

FIRST_TERM: Final = 1
"""The term in which the log of every founder begins. No member ever leads it."""


class LogStart(NamedTuple):
    """The place before some entry: the entry there, as index and term, and the members there."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    term: int
    membership: Membership


class RaftLog:
    """Entries `first_index` to `last_index`; of the entry before them, index and term are kept.

    Indexes count from 1; (0, 0) is the place before the first entry. `first_index` is the lowest
    index whose entry is here, `last_index + 1` if there is none. The entry at `last_index` may not
    be durable. Both are attributes, for a put asks dozens of times.
    """

    def __init__(
        self, previous_index: int = 0, previous_term: int = 0, entries: Sequence[Entry] = ()
    ) -> None:
        self._previous_index = previous_index
        self._previous_term = previous_term
        self._entries = list(entries)
        for offset, entry in enumerate(self._entries):
            assert entry.index == previous_index + 1 + offset, "log entries are consecutive"
        # The bytes of the commands up to the previous entry, and then up to each entry, counted
        # from any one place: the bytes of a run of entries are a difference.
        self._sizes = list(accumulate(command_sizes(self._entries), initial=0))
        self._note_ends()

    def _note_ends(self) -> None:
        self.first_index = self._previous_index + 1
        self.last_index = self._previous_index + len(self._entries)

    @property
    def last_term(self) -> int:
        """The term of the last entry."""
        return self._entries[-1].term if self._entries else self._previous_term

    def term(self, index: int) -> int | None:
        """The term of the entry at `index`; None if it is compacted away, or beyond the end."""
        offset = index - self._previous_index
        if offset == 0:
            return self._previous_term
        if offset < 0 or index > self.last_index:
            return None
        return self._entries[offset - 1].term

    def time_ms(self, index: int) -> int:
        """The cluster time of the entry at `index`; 0 if the entry is not here."""
        offset = index - self._previous_index
        return self._entries[offset - 1].time_ms if offset > 0 and index <= self.last_index else 0

    def is_up_to_date(self, last_index: int, last_term: int) -> bool:
        """Whether a candidate whose log ends there may have this member's vote (Raft 5.4.1)."""
        # The term counts before the length: a long log of an old term may hold entries that a later
        # leader has replaced.
        return (last_term, last_index) >= (self.last_term, self.last_index)

    def slice(self, start: int, stop: int, bytes_max: int) -> tuple[Entry, ...]:
        """Entries start <= index < stop, those that fit into `bytes_max`; the first in any case."""
        assert start >= self.first_index, "the entries asked for are compacted away"
        assert stop <= self.last_index + 1, "the entries asked for are not here yet"
        sizes, first, end = self._sizes, start - self.first_index, stop - self.first_index
        most = sizes[first] + bytes_max
        if sizes[end] > most:
            fitting = bisect_right(sizes, most, first, end) - 1
            end = max(fitting, first + 1)
        return (*self._entries[first:end],)

    def bytes_of(self, start: int, stop: int) -> int:
        """The bytes of the commands of entries start <= index < stop."""
        return self._sizes[stop - self.first_index] - self._sizes[start - self.first_index]

    def append(self, entries: Sequence[Entry]) -> None:
        """Append entries that follow the last one."""
        assert entries[0].index == self.last_index + 1, "entries leave a gap"
        self._entries += entries
        self._sizes += accumulate(command_sizes(entries), initial=self._sizes.pop())
        self.last_index = entries[-1].index

    def truncate_from(self, index: int, commit: int) -> list[Entry]:
        """Remove and return the entries from `index` on; called only at a proven conflict."""
        assert index > commit, f"cannot truncate at {index}: {commit} is committed"
        offset = index - self.first_index
        removed = self._entries[offset:]
        del self._entries[offset:], self._sizes[offset + 1 :]
        self._note_ends()
        return removed

    def first_conflict(self, entries: Sequence[Entry]) -> int | None:
        """The index of the first of `entries` that is not in this log; None: all are in it.

        Two entries of the same index and term are the same (Raft 5.3, log matching). Those in the
        compacted prefix are committed, so they match.
        """
        for entry in entries:
            if entry.index > self._previous_index and self.term(entry.index) != entry.term:
                return entry.index
        return None

    def last_index_up_to_term(self, index: int, term: int) -> tuple[int, int]:
        """The last place here up to `index` whose term is at most `term`, as (index, term).

        It is the hint by which a leader skips whole terms that cannot match (the end of Raft 5.3;
        etcd's findConflictByTerm). It stops at the compacted prefix.
        """
        index = min(index, self.last_index)
        while index > self._previous_index:
            here = self._entries[index - self.first_index].term
            if here <= term:
                return index, here
            index -= 1
        return self._previous_index, self._previous_term

    def compact(self, index: int) -> None:
        """Forget the entries up to and including `index`."""
        if index <= self._previous_index:
            return
        term = self.term(index)
        assert term is not None, f"cannot compact at {index}: the log ends at {self.last_index}"
        gone = index - self._previous_index
        del self._entries[:gone], self._sizes[:gone]
        self._previous_index, self._previous_term = index, term
        self._note_ends()

    def restart_after(self, index: int, term: int) -> list[Entry]:
        """Begin anew after an installed snapshot; returns the entries that were discarded.

        A log that holds the snapshot's last entry keeps the entries after it (Raft 7).
        """
        if self.term(index) == term:
            self.compact(index)
            return []
        removed, self._entries, self._sizes = self._entries, [], [0]
        self._previous_index, self._previous_term = index, term
        self._note_ends()
        return removed

    def tail_start(self, durable_index: int, entries_kept: int, bytes_kept: int) -> int:
        """The index up to which the log may be forgotten.

        The entries up to `durable_index` are durable in the store. Of these a tail is kept, at most
        `entries_kept` entries and about `bytes_kept` bytes: a member that lags a little then needs
        no snapshot.
        """
        sizes, before = self._sizes, self._previous_index
        # The place after which no more than `bytes_kept` stand.
        by_bytes = before + bisect_left(sizes, sizes[-1] - bytes_kept)
        return max(before, durable_index - entries_kept, min(by_bytes, durable_index))
