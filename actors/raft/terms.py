"""What a message's term means before its content is looked at (Raft 5.1, dissertation 6.2 and 9.6).

One table, for every role. Refuses to know of logs, of votes given, and of what a verdict leads to.
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
    STEP_DOWN = auto()  # adopt the term, with no leader known, then handle
    TELL_TERM = auto()  # answer with a rejection that shows this member's higher term
    REFUSE_VOTE = auto()  # answer with a refusal that shows this member's higher term
    IGNORE = auto()


def judge(message: Message, own_term: int, hears_leader: bool) -> Verdict:
    """The verdict of a member in `own_term` that hears a living leader, or does not."""
    if message.term == own_term:
        return Verdict.HANDLE
    return _newer(message, hears_leader) if message.term > own_term else _older(message)


def _newer(message: Message, hears_leader: bool) -> Verdict:
    match message:
        case VoteRequest(pre=pre, transfer=transfer):
            # A member that hears a leader ignores candidates: one that was cut off, or removed,
            # must not depose a leader that works (dissertation 4.2.3). A leader that hands over
            # has asked for the election itself. A pre-vote raises no term.
            if hears_leader and not transfer:
                return Verdict.IGNORE
            return Verdict.HANDLE if pre else Verdict.STEP_DOWN
        case VoteResponse(pre=True, granted=True):
            return Verdict.HANDLE  # it names the term asked for, which no member has entered yet
        case AppendRequest() | Heartbeat() | SnapshotChunk():
            return Verdict.FOLLOW_SENDER
        case _:
            return Verdict.STEP_DOWN


def _older(message: Message) -> Verdict:
    match message:
        case AppendRequest() | Heartbeat() | SnapshotChunk():
            # A deposed leader learns of the new term, and steps down. So does a leader whose term
            # this member is beyond, and cannot follow: the next election brings both to one term.
            return Verdict.TELL_TERM
        case VoteRequest(pre=True):
            return Verdict.REFUSE_VOTE
        case ForwardRequest() | ReadRequest() | ForwardRefusal() | ChangeRefusal():
            return Verdict.HANDLE  # the present leader can serve these; a refusal stays true
        case Contradiction() | Confession() | Doubt():
            return Verdict.HANDLE  # a committed entry is committed in every later term
        case _:
            return Verdict.IGNORE
