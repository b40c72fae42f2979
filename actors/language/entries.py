"""What the members replicate: an entry of the log, and the proposal that it was before.

Plain values. What a command's bytes mean is codec.py's, and nobody's business on the way.
"""

from __future__ import annotations

from typing import Final, NamedTuple

NO_TICKET: Final = 0
"""The ticket of a proposal, or of an entry, whose answer nobody waits for."""


class Entry(NamedTuple):
    """One log entry. An empty command is the no-op with which a leader opens its term.

    `time_ms` is the leader's cluster time; `origin` and `ticket` name the request it answers.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    term: int
    time_ms: int
    origin: int
    ticket: int
    command: bytes


class Proposal(NamedTuple):
    """A command on its way into the log, with the member and ticket that will answer it."""

    origin: int
    ticket: int
    command: bytes
