"""What the members replicate: an entry of the log, and the proposal that it was before.

Plain values. Refuses to know what a command's bytes mean: codec.py does, and Raft need not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from operator import attrgetter
from typing import Annotated, Any, Final, NamedTuple

from actors.language.bounds import NUMBER_MAX, Number, Unsigned, Within

NO_TICKET: Final = 0
"""The ticket of a proposal, or of an entry, for whose answer no client waits."""

CommandBytes = Annotated[bytes, "a command"]
"""The bytes that `encode_command` made; an entry's command may also be empty, or a membership."""


class Entry(NamedTuple):
    """One log entry. An empty command is the no-op with which a leader opens its term.

    `time_ms` is the leader's cluster time. `origin` is the member that took the request, and
    `ticket` its name there: that member answers when it applies the entry.
    """

    # Hides tuple.index, which nobody calls.
    index: Annotated[int, Within(1, NUMBER_MAX)]  # type: ignore[assignment]
    term: Number
    time_ms: Number
    origin: Unsigned
    ticket: Unsigned
    command: bytes


class Proposal(NamedTuple):
    """A command on its way into the log, with the member and ticket that will answer it."""

    origin: Unsigned
    ticket: Unsigned
    command: CommandBytes


_command_of: Final = attrgetter("command")
_entry_of: Final = partial(tuple.__new__, Entry)
_proposal_of: Final = partial(tuple.__new__, Proposal)


def command_sizes(held: Iterable[Entry | Proposal]) -> Iterator[int]:
    """The bytes of each command; without a call of Python's for each, for every put is counted."""
    return map(len, map(_command_of, held))


def entries_of(rows: Iterable[tuple[Any, ...]]) -> tuple[Entry, ...]:
    """The entries of rows with their fields, which were checked: no call of Python's for each."""
    return (*map(_entry_of, rows),)


def proposals_of(rows: Iterable[tuple[Any, ...]]) -> tuple[Proposal, ...]:
    """The proposals of rows, as `entries_of`."""
    return (*map(_proposal_of, rows),)


class ClusterClock(NamedTuple):
    """Cluster time is `cluster_ms + (monotonic now - monotonic_ms)`. Only a leader has a clock."""

    cluster_ms: int
    monotonic_ms: int

    def at(self, monotonic_ms: int) -> int:
        """The cluster time in milliseconds at a monotonic time in milliseconds."""
        return self.cluster_ms + (monotonic_ms - self.monotonic_ms)
