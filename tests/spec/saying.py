"""What a member may say, and when it may leave (figure 3.1: save first, answer then).

Answers and requests for votes are made by the actions, and are owed until they are kept. The rest a
member says of its present state, as often as it likes.
"""

from __future__ import annotations

from tests.spec.state import (
    Ack,
    Append,
    AskRead,
    Beat,
    Member,
    Message,
    Place,
    RequestVote,
    Role,
    Snapshot,
    TimeoutNow,
    Vote,
    number,
)


def is_owed(m: Member, said: Message) -> bool:
    """An action of the member's has made this message. Of two classes, two may look the same."""
    return any(type(each) is type(said) and each == said for each in m.owed)


def is_kept(m: Member, said: Message) -> bool:
    """What a message promises is on the disk, so it may leave."""
    own = (m.disk.term, m.disk.vote)
    match said:
        case RequestVote(pre=True) | Vote(pre=True):
            return True  # the term that it names was entered by nobody
        case RequestVote():
            return said.term < m.disk.term or own == (said.term, m.id)
        case Vote(granted=True):
            return said.term < m.disk.term or own == (said.term, said.target)
        case Ack(accepted=True):
            return said.term <= m.disk.term and m.holds(said.index)
    return said.term <= m.disk.term


def may_say(m: Member, said: Message) -> bool:
    """What a member may say of itself, at any moment, as often as it likes."""
    lead = m.lead
    if isinstance(said, AskRead):
        return said.read in m.asked and said.target == m.leader
    if isinstance(said, RequestVote):
        return said.pre and said.term == m.term + 1 and said.last == _last_to_show(m)
    if isinstance(said, Ack | Vote):
        # A refusal promises nothing. It shows a leader or a candidate of an earlier term this one.
        return said.term == m.term and not (
            said.accepted if isinstance(said, Ack) else said.granted
        )
    if lead is None or said.term != m.term:
        return False
    match said:
        case Append(_, _, _, prev, entries, known):
            same = m.log.term_at(prev.at) == prev.term
            return same and m.log.after(prev.at)[: len(entries)] == entries and known <= m.commit
        case Beat(_, target, _, known, round_, ms):
            # Beyond `match` the peer may hold other entries, and would take those for committed.
            sure = known <= min(m.commit, number(lead.match, target))
            return sure and round_ <= lead.round and ms <= m.clock.ms
        case Snapshot(_, _, _, last, config, ms):
            same = last.at <= m.applied and m.log.term_at(last.at) == last.term
            return same and config == m.log.config_at(last.at) and ms <= m.clock.ms
        case TimeoutNow(_, target):
            whole = number(lead.match, target) == m.log.last.at
            return target == lead.target and whole
    return False


def _last_to_show(m: Member) -> Place | None:
    """Where the log of one that asks for pre-votes ends (9.6).

    A member that may not stand asks with an empty log, for which nobody votes: one that knows of
    its removal tells it.
    """
    if m.role is Role.PRE_CANDIDATE:
        return m.log.last
    return Place(0, 0) if m.role is Role.FOLLOWER and not m.may_stand else None
