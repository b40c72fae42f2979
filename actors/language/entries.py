"""What the members replicate: an entry of the log, and the proposal that it was before.

Plain values. What a command's bytes mean is codec.py's, and nobody's business on the way.
"""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

from actors.language.bounds import NUMBER_MAX, Number, Unsigned, Within

NO_TICKET: Final = 0
"""The ticket of a proposal, or of an entry, whose answer nobody waits for."""

CommandBytes = Annotated[bytes, "a command"]
"""What `encode_command` has made; an entry's command may also be empty, or a membership."""


class Entry(NamedTuple):
    """One log entry. An empty command is the no-op with which a leader opens its term.

    `time_ms` is the leader's cluster time; `origin` and `ticket` name the request it answers.
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
