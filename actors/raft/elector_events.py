"""What an elector says of an input: the events that its owner carries out.

Refuses to know what an election means for the log.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.raft.leader import Leader
from actors.raft.rpc import AppendResponse, VoteRequest, VoteResponse


class Followed(NamedTuple):
    """This member is a follower from now on, of `leader` (0: no leader is known).

    `is_new_term`: its term has risen. `was` is its state as a leader, if it led until now.
    """

    leader: int
    is_new_term: bool
    was: Leader | None


class AskedForVotes(NamedTuple):
    """This member asks for votes. Its term and its vote must be saved before these leave."""

    requests: list[VoteRequest]


class Answered(NamedTuple):
    """A message has been dealt with. The term and the vote must be saved before this leaves."""

    answer: VoteResponse | AppendResponse


class Won(NamedTuple):
    """This member won the election of its term; it leads once `lead` has given it a Leader."""


ElectorEvent = Followed | AskedForVotes | Answered | Won
ElectorEvents = tuple[ElectorEvent, ...]

NOTHING: ElectorEvents = ()
