"""Small worlds: how many members, what may happen how often, and what must happen somewhere.

A world is explored as a whole, so it has to be small. A world in which nothing interesting happens
proves nothing, so each says what must happen on some way through it.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Limit = Literal[
    "elections",
    "proposals",
    "reads",
    "changes",
    "transfers",
    "compactions",
    "beats",
    "times",
    "breaks",
    "crashes",
]
LIMITS: Final[tuple[Limit, ...]] = (
    "elections",
    "proposals",
    "reads",
    "changes",
    "transfers",
    "compactions",
    "beats",
    "times",
    "breaks",
    "crashes",
)

FIRST_ID: Final = 7_001
"""The id of the first member: no term, index or time comes near it, so ids can be renamed."""


class Change(NamedTuple):
    """A change of the members, which are numbered from 1."""

    kind: Literal["add", "add learner", "promote", "remove", "replace"]
    member: int
    by: int = 0


class World(NamedTuple):
    """`voters` members, then `learners`, then `strangers` that may be added.

    `terms` is the last term that a member may enter. The other numbers say how often each thing may
    happen in all: an election timeout, a proposal, a read, the next of `changes`, a transfer to any
    voter, a compaction of a log, a round of heartbeats, a broken connection (or a leader that hears
    nobody), a crash (before or after a save). `times`: how often a leader's clock goes on by a
    millisecond; then the proposals grant a lease and end it.
    `late_saves`: other things may happen while a save is under way. `logs` are the terms of entries
    that the first members have from earlier leaders, none of them committed; all are then in the
    next term, which nobody has won. With a `leader` that member stands at first, everybody hears
    all that is said until nothing is new, and what was said then is lost. `sometimes` must happen.
    """

    name: str
    voters: int
    learners: int = 0
    strangers: int = 0
    terms: int = 3
    elections: int = 2
    proposals: int = 0
    reads: int = 0
    changes: tuple[Change, ...] = ()
    transfers: int = 0
    compactions: int = 0
    beats: int = 0
    times: int = 0
    crashes: int = 0
    breaks: int = 0
    silences: bool = False
    late_saves: bool = False
    logs: tuple[tuple[int, ...], ...] = ()
    leader: int = 0
    sometimes: tuple[str, ...] = ()

    @property
    def limits(self) -> tuple[int, ...]:
        """How often each of LIMITS may happen."""
        return tuple(
            len(self.changes) if name == "changes" else int(getattr(self, name)) for name in LIMITS
        )

    @property
    def first_term(self) -> int:
        """The term in which all members begin; 1 is that of the entry with which a log begins."""
        return 1 + max((each for log in self.logs for each in log), default=0)

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of all members and strangers."""
        return tuple(range(FIRST_ID, FIRST_ID + self.voters + self.learners + self.strangers))


def id_of(number: int) -> int:
    """The id of the member of a number."""
    return FIRST_ID - 1 + number
