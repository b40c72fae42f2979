"""What a leader keeps of its peers, beside their progress."""

from __future__ import annotations

from actors.language.entries import Entry
from actors.raft.leader import Leader
from actors.raft.log import RaftLog
from actors.raft.quorum import Configuration


def test_member_that_is_removed_while_it_awaits_a_commit_is_forgotten() -> None:
    both = Configuration(frozenset({1, 2}))
    log = RaftLog(0, 0, [Entry(1, 1, 0, 2, 7, b"x")])
    leader = Leader(1, 1, both, log, 0, 0)
    leader.peers[2].maybe_accept(1)
    leader.committed(0, 1, 0)
    assert leader.has_news(1)
    leader.reconfigure(Configuration(frozenset({1})), 0)
    assert not leader.has_news(1)
    assert not leader.messages(1, 0)


def test_a_read_that_a_majority_of_fewer_voters_has_confirmed_is_looked_at() -> None:
    leader = Leader(1, 1, Configuration(frozenset({1, 2, 3, 4, 5})), RaftLog(), 0, 0)
    leader.add_read(1, read_id=7, commit=1)
    leader.messages(1, 0)
    leader.rounds.acknowledged(2, leader.rounds.sent)
    assert leader.rounds.is_answered and not leader.read_answers(0)
    assert not leader.rounds.is_answered
    leader.reconfigure(Configuration(frozenset({1, 2, 3})), 0)
    assert leader.rounds.is_answered
    assert [answer.read_id for answer in leader.read_answers(0)] == [7]
