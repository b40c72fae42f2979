"""Facts: what happened in one member that people should hear of, as its parts have seen it.

Nothing in Raft depends on a fact: each is noted beside a decision, and told by the actor. Members
are ids here. Refuses to know how a fact is put into words.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, Literal, NamedTuple

FACTS_MAX: Final = 256
"""Facts beyond this number are dropped until the noted ones are taken: a stranger's messages may
cause some, at any rate."""


class VoteRefusal(Enum):
    """Why a vote is refused."""

    HEARS_LEADER = auto()
    HAS_VOTED = auto()
    LOG_BEHIND = auto()
    ON_PROBATION = auto()
    PAST_TERM = auto()


class Cause(Enum):
    """Why a member follows from now on; what made it do so is in `Follows.source`."""

    LEADER = auto()  # the source leads
    NEWER_TERM = auto()  # the source is in a newer term
    HANDED_OVER = auto()  # the source stands, because this leader has asked it to
    NO_QUORUM = auto()  # this leader hears no majority
    REMOVED = auto()  # this leader's removal is committed
    WRONG_LOG = auto()  # this leader must stop
    OUTVOTED = auto()  # a majority refuses its vote
    MAY_NOT_STAND = auto()  # it heard no leader, and has no vote that it could ask others to follow


class Suspected(NamedTuple):
    """The leader is taken for lost, after `silent_ms` without a word from it.

    With "transfer" it is not lost: it has asked this member to take its place.
    """

    leader: int
    how: Literal["connection", "timeout", "transfer"]
    term: int
    silent_ms: int


class Stood(NamedTuple):
    """This member asks others for votes in `term`; `pre`: only whether it would get them.

    One that may not be elected asks, too: a member that knows of its removal tells it then.
    """

    term: int
    pre: bool
    asked: tuple[int, ...]
    may_win: bool


class Voted(NamedTuple):
    """This member grants a vote in `term`, or refuses it; `other` is who leads, or has the vote."""

    candidate: int
    term: int
    pre: bool
    refusal: VoteRefusal | None
    other: int


class Elected(NamedTuple):
    """This member leads, `took_ms` after it first stood, by the votes of these members."""

    term: int
    votes: tuple[int, ...]
    took_ms: int


class Follows(NamedTuple):
    """This member follows `leader` (0: it knows none) from now on; `led`: until now it led."""

    leader: int
    term: int
    led: bool
    cause: Cause
    source: int


class NearMiss(NamedTuple):
    """The leader was heard only `silent_ms` after its last word; after `timeout_ms` this member
    would have stood."""

    leader: int
    silent_ms: int
    timeout_ms: int


class LateHeartbeats(NamedTuple):
    """This leader sent its heartbeats late."""

    late_ms: int


class PeerLost(NamedTuple):
    """Another member does not answer."""

    member: int
    how: Literal["connection", "timeout"]


class PeerFound(NamedTuple):
    """Another member answers, after `away_ms`; None: it was not lost before."""

    member: int
    away_ms: int | None


class SnapshotSent(NamedTuple):
    """A member that lags has acknowledged so many bytes of a snapshot."""

    member: int
    done_bytes: int
    total_bytes: int


class SnapshotGivenUp(NamedTuple):
    """A member does not acknowledge its snapshot."""

    member: int


Fact = (
    Suspected
    | Stood
    | Voted
    | Elected
    | Follows
    | NearMiss
    | LateHeartbeats
    | PeerLost
    | PeerFound
    | SnapshotSent
    | SnapshotGivenUp
)


class FactBook:
    """The facts that were noted and not taken yet, oldest first."""

    def __init__(self) -> None:
        self.noted: list[Fact] = []

    def note(self, fact: Fact) -> None:
        """Something has just happened."""
        if len(self.noted) < FACTS_MAX:
            self.noted.append(fact)

    def take(self) -> tuple[Fact, ...]:
        """Everything that was noted since the last call."""
        taken = tuple(self.noted)
        self.noted.clear()
        return taken
