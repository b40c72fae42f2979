"""Which actions of the spec lead from one state of a member to what is seen of it next.

First comes the action of the input, then those that a core does at once, as it commits what it may.
A message may always be ignored, for it may have been lost. So nothing here tells a core that waits
for ever from one that goes on: this is about safety.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from actors.raft import rpc
from tests.spec import raft
from tests.spec.mapping import Seen, as_seen, message_of
from tests.spec.rejoining import admit, rejoin
from tests.spec.state import (
    NOBODY,
    Ack,
    Append,
    AskRead,
    Beat,
    BeatAnswer,
    Config,
    Member,
    Place,
    RequestVote,
    Role,
    Snapshot,
    TellRead,
    TimeoutNow,
    Vote,
)

ACTIONS_MAX: Final = 8
"""The actions of one input: a leader may end a transfer, append, commit, append again and so on."""

STANDING: Final = (Role.CANDIDATE, Role.PRE_CANDIDATE)


# --- which actions lead from one state to another ---------------------------------------------


def hearings(m: Member, said: rpc.Message) -> Iterator[Member | None]:
    """What hearing a message may make of a member, the likeliest first."""
    message = message_of(said)
    match message:
        case RequestVote():
            yield raft.hear_request(m, message)
            yield raft.hear_request(m, message, willing=False)
        case Vote():
            yield raft.hear_vote(m, message)
        case Append():
            yield raft.hear_append(m, message)
            yield raft.follow(m, message)
        case Beat():
            yield raft.hear_beat(m, message)
            yield raft.follow(m, message)
        case Ack():
            yield raft.hear_ack(m, message)
        case BeatAnswer():
            yield raft.hear_answer(m, message)
        case AskRead(source, _, term, read):
            yield raft.hear_term(m, term) or raft.hear_read(m, source, read)
        case TellRead():
            yield raft.hear_told(m, message)
        case TimeoutNow():
            yield raft.hear_timeout_now(m, message)
        case _ if isinstance(said, rpc.SnapshotChunk):
            last = Place(said.last_index, said.last_term)
            offer = Snapshot(said.source, said.target, said.term, last, Config(frozenset()), 0)
            yield raft.hear_snapshot(m, offer)
        case _:
            yield raft.hear_term(m, said.term)
    yield m


def path(m: Member, seen: Seen) -> list[Member]:
    """The states through which a member comes, by what it may do of itself, to what is seen of it.

    Empty: no way leads there.
    """
    way = [m]
    while as_seen(m) != seen:
        nearer = _nearer(m, seen)
        if nearer is None or len(way) > ACTIONS_MAX:
            return []
        way.append(m := nearer)
    return way


def _nearer(m: Member, seen: Seen) -> Member | None:
    """One action that makes a member more like what is seen."""
    if m.barred and not seen.barred:
        return admit(m)
    if m.barred and seen.vote == m.id and (seen.term, seen.vote) != (m.term, m.vote):
        return rejoin(m, seen.term)
    if seen.applied > m.applied and seen.applied <= m.commit:
        return raft.apply(m, seen.applied)
    if m.lead is not None:
        return _as_leader(m, seen)
    if seen.role is Role.FOLLOWER:
        return raft.lose_hope(m) if m.role is Role.FOLLOWER else raft.step_down(m)
    if seen.role is Role.LEADER and m.term == seen.term:
        won = raft.win(m)
        return ask_again(won) if won is not None else None
    if m.role is Role.PRE_CANDIDATE and seen.term == m.term + 1:
        return raft.stand(m)
    return raft.stand_before(m)


def _as_leader(m: Member, seen: Seen) -> Member | None:
    assert m.lead is not None
    if seen.commit > m.commit and (own := raft.commit(m, seen.commit)):
        return own
    have = len(m.log.entries)
    missing = seen.entries[have:] if seen.entries[:have] == m.log.entries else ()
    if missing and m.log.start == seen.start:
        what = missing[0].what
        if isinstance(what, Config):
            return raft.finish(m) if m.log.config.outgoing else raft.change(m, what)
        if m.lead.target not in (NOBODY, seen.target):
            return raft.hand_over(m, NOBODY)
        kinds = [isinstance(each.what, Config) for each in missing]
        run = missing[: kinds.index(True)] if True in kinds else missing
        return raft.propose(m, run)
    if seen.role is not Role.LEADER or seen.term != m.term:
        return raft.step_down(m)
    if seen.target != m.lead.target:
        return raft.hand_over(m, seen.target)
    if seen.round > m.lead.round:
        return raft.begin_round(m)
    # A leader may forget how far a peer is: it does when that peer has lost its disk.
    kept = tuple(each for each in m.lead.match if each in seen.match)
    return m._replace(lead=m.lead._replace(match=kept)) if kept != m.lead.match else None


def ask_again(m: Member) -> Member:
    """A leader's own reads, asked once more."""
    for read in m.asked if m.lead is not None else ():
        m = raft.hear_read(m, m.id, read) or m
    return m
