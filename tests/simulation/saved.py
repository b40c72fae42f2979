"""What is surely on a member's disk, as an observer knows it: compared with what a restart finds.

A save that a crash cut short may have come through or not, but as a whole. Knows nothing of terms'
or entries' meaning beyond their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from actors.language.entries import Entry
from actors.raft.disk.wal import Contents
from actors.raft.log import LogStart
from actors.raft.rpc import HardState
from tests.linearizability import FindingError


class State(NamedTuple):
    """Term and vote, and the entries after `start_index`; everything before is in the store."""

    term: int
    vote: int
    start_index: int
    entries: list[Entry]


class Saved:
    """One member's disk."""

    def __init__(self) -> None:
        self.term = 0
        self.vote = 0
        self.start_index = 0
        self.entries: list[Entry] = []
        # How it looks if the present save comes through.
        self._after: State | None = None

    @property
    def last_index(self) -> int:
        """Where the log ends."""
        return self.start_index + len(self.entries)

    def holds(self, entry: Entry) -> bool:
        """Whether this entry is there, or in the store."""
        offset = entry.index - self.start_index - 1
        return offset < 0 or (offset < len(self.entries) and self.entries[offset] == entry)

    def entry(self, index: int) -> Entry | None:
        """The entry at an index."""
        offset = index - self.start_index - 1
        return self.entries[offset] if 0 <= offset < len(self.entries) else None

    # --- saving ---

    def saving(self, hard_state: HardState, entries: Sequence[Entry]) -> bool:
        """A save begins; whether it replaces entries."""
        require(hard_state.term >= self.term, "a saved term fell")
        kept = self.entries
        truncates = False
        if entries:
            first = entries[0].index
            require(self.start_index < first <= self.last_index + 1, "a save leaves a gap")
            truncates = first <= self.last_index
            kept = [*self.entries[: first - self.start_index - 1], *entries]
        self._after = State(hard_state.term, hard_state.vote, self.start_index, kept)
        return truncates

    def resetting(self, hard_state: HardState, entries: Sequence[Entry], start: LogStart) -> None:
        """The log is about to begin anew after an installed snapshot."""
        require(hard_state.term >= self.term, "a saved term fell")
        require(start.index >= self.start_index, "the log was reset to an earlier place")
        self._after = State(hard_state.term, hard_state.vote, start.index, list(entries))

    def saved(self) -> None:
        """It is done."""
        assert self._after is not None
        self.term, self.vote, self.start_index, self.entries = self._after
        self._after = None

    def found(self, contents: Contents, applied_index: int) -> bool:
        """A restart finds all that was saved, and of the last save all or nothing.

        The store holds everything up to `applied_index`. Returns whether a save was lost.
        """
        if self._matches(contents, State(self.term, self.vote, self.start_index, self.entries)):
            was_lost, self._after = self._after is not None, None
            self._check_cut(contents, applied_index)
            return was_lost
        after = self._after
        require(after is not None, "it lost what it had saved")
        assert after is not None
        require(self._matches(contents, after), "neither its last state nor the next is there")
        self.saved()
        self._check_cut(contents, applied_index)
        return False

    def _matches(self, contents: Contents, state: State) -> bool:
        log = contents.log
        if contents.hard_state[:2] != (state.term, state.vote):
            return False
        cut = log.first_index - 1 - state.start_index
        if cut < 0:
            return False
        # A log that begins anew behind a snapshot looks like one that was cut there, but for the
        # term of the entry before it.
        last_cut = state.entries[cut - 1 : cut] if cut else []
        if any(entry.term != log.term(entry.index) for entry in last_cut):
            return False
        found = log.slice(log.first_index, log.last_index + 1, 1 << 60)
        return cut <= len(state.entries) and list(found) == state.entries[cut:]

    def _check_cut(self, contents: Contents, applied_index: int) -> None:
        first = contents.log.first_index
        require(
            first - 1 <= max(applied_index, contents.expected[0]),
            f"the log begins at {first}, but the store ends at {applied_index}",
        )


def require(condition: bool, reason: str) -> None:
    """Raise FindingError unless a condition holds."""
    if not condition:
        raise FindingError(reason)
