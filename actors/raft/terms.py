"""What a message's term means before its content is looked at (Raft 5.1, dissertation 6.2 and 9.6).

One table, for every role. Knows nothing of logs, votes given, or what is done with a verdict.
"""

from __future__ import annotations

from enum import Enum, auto

from actors.raft.rpc import (
    AppendRequest,
    ChangeRefusal,
    Confession,
    Contradiction,
    Doubt,
    ForwardRefusal,
    ForwardRequest,
    Heartbeat,
    Message,
    ReadRequest,
    SnapshotChunk,
    VoteRequest,
    VoteResponse,
)


class Verdict(Enum):
    """What to do with a message, by its term."""

    HANDLE = auto()  # look at its content
    FOLLOW_SENDER = auto()  # adopt the term and the sender as leader, then handle
    STEP_DOWN = auto()  # adopt the term, nobody known to lead it, then handle
    TELL_TERM = auto()  # answer with an empty rejection at one's own, higher term
    REFUSE_VOTE = auto()  # answer with a refusal at one's own, higher term
    IGNORE = auto()


def judge(message: Message, own_term: int, hears_leader: bool) -> Verdict:
    """The verdict of a member in `own_term` that hears a living leader, or does not."""
    if message.term == own_term:
        return Verdict.HANDLE
    return _newer(message, hears_leader) if message.term > own_term else _older(message)


def _newer(message: Message, hears_leader: bool) -> Verdict:
    match message:
        case VoteRequest(pre=pre, transfer=transfer):
            # Check-quorum's other half: no vote while a leader is heard, unless it hands over
            # itself. A pre-vote moves no term.
            if hears_leader and not transfer:
                return Verdict.IGNORE
            return Verdict.HANDLE if pre else Verdict.STEP_DOWN
        case VoteResponse(pre=True, granted=True):
            return Verdict.HANDLE  # the term it grants is nobody's yet
        case AppendRequest() | Heartbeat() | SnapshotChunk():
            return Verdict.FOLLOW_SENDER
        case _:
            return Verdict.STEP_DOWN


def _older(message: Message) -> Verdict:
    match message:
        case AppendRequest() | Heartbeat() | SnapshotChunk():
            # Tells a deposed leader, and frees a member whose term ran ahead of its cluster's.
            return Verdict.TELL_TERM
        case VoteRequest(pre=True):
            return Verdict.REFUSE_VOTE
        case ForwardRequest() | ReadRequest() | ForwardRefusal() | ChangeRefusal():
            return Verdict.HANDLE  # whoever leads now serves them; a refusal stays true
        case Contradiction() | Confession() | Doubt():
            return Verdict.HANDLE  # what was committed stays so in any term
        case _:
            return Verdict.IGNORE
