"""What Raft tells Store and the other actors, in the words of `language`.

A membership of Raft's becomes Store's command SetMembers. This is the only place that knows both.
"""

from __future__ import annotations

from actors.language.auth import NODE
from actors.language.codec import encode_command
from actors.language.commands import MemberPeers, SetMembers
from actors.language.entries import ClusterClock, Entry
from actors.language.messages import Leadership, Question
from actors.language.queries import MembersToCome, RaftStatus
from actors.raft.core import RaftCore
from actors.raft.membership import Membership, memberships_among, read
from actors.raft.outcome import Certain, LeaderNews


def for_store(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Entries as Store understands them: a membership becomes its command SetMembers.

    A membership that cannot be decoded stays as it is. Store raises the alarm of an entry that
    cannot be decoded.
    """
    if not memberships_among(entries):
        return entries
    return tuple(map(_for_store, entries))


def _for_store(entry: Entry) -> Entry:
    membership = read(entry.command)
    if membership is None:
        return entry
    return entry._replace(
        command=encode_command(SetMembers(_peers(membership), entry.command), None, NODE)
    )


def question_of(certain: Certain) -> Question:
    """The question by which Store answers a change that is certain, with the members to come."""
    return Question(certain.ticket, MembersToCome(_peers(certain.membership)), NODE)


def leadership_of(leader_news: LeaderNews) -> Leadership:
    """Who leads, as all other actors of the node are told."""
    clock = None if leader_news.clock is None else ClusterClock(*leader_news.clock)
    return Leadership(leader_news.leader, leader_news.term, clock, leader_news.is_learner)


def status_of(core: RaftCore) -> RaftStatus:
    """The part of a member's status that Raft knows."""
    return RaftStatus(
        leader=core.leader,
        term=core.term,
        last_index=core.replica.log.last_index,
        is_learner=not core.roster.is_voter,
        has_caught_up=core.probation is None,
    )


def _peers(membership: Membership) -> tuple[MemberPeers, ...]:
    return tuple(
        MemberPeers(peer.id, peer.peer_urls, peer.id in membership.learners, peer.keys)
        for peer in membership.peers
        if peer.id in membership.voters | membership.learners
    )
