"""The narrator: facts in words, by the members' names, with the fields that are promised."""

from __future__ import annotations

import logging
import re

import pytest

from actors.language.lines import ToldLine, Weight
from actors.language.members import PublishedMember
from actors.language.messages import PeersDown, Published
from actors.raft.facts import (
    Cause,
    Elected,
    Fact,
    Follows,
    LateHeartbeats,
    NearMiss,
    PeerFound,
    PeerLost,
    SnapshotGivenUp,
    SnapshotSent,
    Stood,
    Suspected,
    Voted,
    VoteRefusal,
)
from actors.raft.membership import first_membership
from actors.raft.names import Names
from actors.raft.narrator import Narrator
from actors.raft.rpc import Heartbeat
from cluster.logs import OF_NODES
from tests.raft.harness import peer
from tests.raft.parts import Parts
from tests.raft.test_raft_actor import Shell

NAMES = {1: "n1", 2: "n2", 3: "n3"}


def narrator() -> Narrator:
    """That of member 1 of three."""
    parts = Parts()
    made = Narrator(parts.elector, parts.roster, NAMES)
    list(made.look(1))
    return made


def lines(*facts: Fact) -> list[ToldLine]:
    """What is told of these, without the roles."""
    told = narrator()
    return [line for fact in facts for line in told.tell(fact) if line.kind != "role"]


TOLD: list[tuple[Fact, str, dict[str, object]]] = [
    (
        Suspected(2, "connection", 3, 12),
        "n2 (leader) fell silent: its connection closed, 12 ms after its last word",
        {"leader": "n2", "how": "connection", "term": 3, "silent_ms": 12},
    ),
    (
        Suspected(2, "timeout", 3, 412),
        "n2 (leader) fell silent: no word from it for 412 ms",
        {"leader": "n2", "how": "timeout", "term": 3, "silent_ms": 412},
    ),
    (
        Suspected(2, "transfer", 3, 1),
        "n2 (leader) hands over to this member",
        {"leader": "n2", "how": "transfer", "term": 3, "silent_ms": 1},
    ),
    (
        Stood(4, True, (3, 2), True),
        "asks n2 and n3 for pre-votes for term 4",
        {"term": 4, "pre": True},
    ),
    (Stood(4, False, (2,), True), "asks n2 for votes in term 4", {"term": 4, "pre": False}),
    (
        Stood(4, False, (), True),
        "has nobody to ask for votes in term 4",
        {"term": 4, "pre": False},
    ),
    (
        Stood(4, True, (2, 3), False),
        "hears no leader, and asks n2 and n3 whether it is still a member",
        {"term": 4, "pre": True},
    ),
    (
        Elected(4, (3, 1), 9),
        "leads term 4: elected by n1 and n3 in 9 ms",
        {"term": 4, "votes": ("n1", "n3"), "took_ms": 9},
    ),
    (
        Follows(2, 4, False, Cause.LEADER, 2),
        "follows n2, the leader of term 4",
        {"leader": "n2", "term": 4},
    ),
    (
        NearMiss(2, 180, 412),
        "the heartbeat of n2 (leader) came 180 ms after its last word: after 412 ms this member"
        " stands for election",
        {"leader": "n2", "silent_ms": 180, "timeout_ms": 412},
    ),
    (
        LateHeartbeats(200),
        "sent its heartbeats 200 ms late: it did not run meanwhile",
        {"what": "heartbeats", "took_ms": 200},
    ),
    (
        PeerLost(3, "connection"),
        "n3 does not answer: its connection closed",
        {"peer": "n3", "how": "connection"},
    ),
    (
        PeerLost(3, "timeout"),
        "n3 does not answer: it is silent",
        {"peer": "n3", "how": "timeout"},
    ),
    (PeerFound(3, None), "n3 answers", {"peer": "n3", "away_ms": None}),
    (PeerFound(3, 350), "n3 answers again, after 350 ms", {"peer": "n3", "away_ms": 350}),
    (
        SnapshotSent(3, 4_200_000, 12_000_000),
        "sends its data to n3, which lags: 4.2 MB of 12.0 MB",
        {"peer": "n3", "done_bytes": 4_200_000, "total_bytes": 12_000_000},
    ),
    (SnapshotGivenUp(3), "n3 does not acknowledge its snapshot: begins again", {}),
]


@pytest.mark.parametrize(("fact", "text", "fields"), TOLD)
def test_a_fact_is_a_sentence_with_names_and_has_its_fields(
    fact: Fact, text: str, fields: dict[str, object]
) -> None:
    (line,) = lines(fact)
    assert (line.text, line.fields) == (text, fields)


def test_every_field_is_one_that_is_promised() -> None:
    refusals = [Voted(2, 4, False, each, 3) for each in (None, *VoteRefusal)]
    roles = list(Narrator(Parts().elector, Parts().roster, NAMES).look(1))
    for line in [*lines(*[fact for fact, _, _ in TOLD], *refusals), *roles]:
        promised = set(re.findall(r"\w+", OF_NODES[line.kind])) if line.kind else set()
        assert line.fields.keys() <= promised, line


@pytest.mark.parametrize(
    ("vote", "text"),
    [
        (
            Voted(2, 4, False, None, 0),
            "gives n2 its vote in term 4: the log of n2 is up to date",
        ),
        (
            Voted(2, 4, True, None, 0),
            "gives n2 a pre-vote for term 4: the log of n2 is up to date",
        ),
        (
            Voted(2, 4, True, VoteRefusal.HEARS_LEADER, 3),
            "refuses n2 a pre-vote for term 4: it hears the leader, n3",
        ),
        (
            Voted(2, 4, False, VoteRefusal.HAS_VOTED, 3),
            "refuses n2 its vote in term 4: it has voted for n3",
        ),
        (
            Voted(2, 4, False, VoteRefusal.LOG_BEHIND, 0),
            "refuses n2 its vote in term 4: the log of n2 is behind",
        ),
    ],
)
def test_a_vote_is_told_with_its_reason(vote: Voted, text: str) -> None:
    (line,) = lines(vote)
    assert line.text == text
    assert line.fields["why"] == text.partition(": ")[2]
    assert (line.fields["candidate"], line.fields["granted"]) == ("n2", vote.refusal is None)


@pytest.mark.parametrize(
    ("cause", "source", "why"),
    [
        (Cause.LEADER, 3, "n3 leads term 5"),
        (Cause.NEWER_TERM, 3, "n3 is in term 5"),
        (Cause.HANDED_OVER, 3, "it has handed over to n3"),
        (Cause.NO_QUORUM, 1, "it hears no majority of the voters"),
        (Cause.REMOVED, 1, "it is removed from the cluster"),
        (Cause.WRONG_LOG, 1, "its log contradicts what is committed"),
    ],
)
def test_a_leader_that_steps_down_says_why(cause: Cause, source: int, why: str) -> None:
    leader = 3 if cause is Cause.LEADER else 0
    told = lines(Follows(leader, 5, True, cause, source))
    assert told[0].text == f"leads no longer, and is in term 5: {why}"
    assert told[0].fields == {"term": 5, "why": why}
    assert [line.kind for line in told[1:]] == (["follows"] if leader else [])


def test_nobody_is_called_a_leader_that_is_not_known() -> None:
    assert lines(Follows(0, 4, False, Cause.NEWER_TERM, 3)) == []


def test_a_role_is_told_when_it_changes() -> None:
    told = narrator()
    facts: list[Fact] = [
        Stood(2, True, (2, 3), True),
        Stood(2, True, (2, 3), True),
        Stood(2, False, (2, 3), True),
        Elected(2, (1, 2), 9),
        Follows(3, 3, True, Cause.LEADER, 3),
        Follows(3, 3, False, Cause.LEADER, 3),
    ]
    said = [line for fact in facts for line in told.tell(fact) if line.kind == "role"]
    assert [(line.fields["role"], line.fields["term"]) for line in said] == [
        ("pre_candidate", 2),
        ("candidate", 2),
        ("leader", 2),
        ("follower", 3),
    ]
    assert {line.weight for line in said} == {Weight.DETAIL}


def test_a_learner_is_told_as_one_until_it_has_its_vote() -> None:
    learning = first_membership((peer(1), peer(2)))
    parts = Parts(learning._replace(voters=frozenset({2}), learners=frozenset({1})))
    told = Narrator(parts.elector, parts.roster, NAMES)
    (line,) = told.look(3)
    assert line.fields == {"role": "learner", "term": 3}
    (asked,) = told.tell(Stood(4, True, (2,), False))
    assert asked.kind == "asked_for_votes"
    parts.roster.is_learner = False
    (line,) = told.look(3)
    assert line.fields == {"role": "follower", "term": 3}


def test_progress_is_a_detail_but_for_its_beginning_and_its_end() -> None:
    told = lines(*[SnapshotSent(3, done, 10) for done in (0, 5, 10)])
    assert [line.weight for line in told] == [Weight.NEWS, Weight.DETAIL, Weight.NEWS]


def test_near_misses_of_a_leader_are_one_line() -> None:
    keys = {line.key for line in lines(NearMiss(2, 180, 412), NearMiss(2, 190, 412))}
    assert keys == {"near miss of n2"}


def test_a_member_is_called_what_it_has_published_or_by_the_flags_or_by_its_id() -> None:
    names = Names({1: "n1", 2: "n2"})
    names.learn({2: "renamed"})
    assert [names.of(member) for member in (1, 2, 0xABC)] == ["n1", "renamed", "abc"]
    assert names.listed(()) == "nobody"
    assert names.listed((2, 0xABC, 1)) == "abc, n1 and renamed"


def test_an_election_is_told_with_names_as_it_happens(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "leasehold.told"):
        shell = Shell()
        members = [PublishedMember(member, f"n{member}", ()) for member in (1, 2, 3)]
        shell.burst(Published(tuple(members)))
        shell.lead()
        shell.hear(Heartbeat(3, 1, 5, 5, 0, 0, 0, 0, True))
        shell.burst(PeersDown((3,)))
    told = [(record.__dict__["kind"], record.getMessage()) for record in caplog.records]
    assert told == [
        ("role", "is now a follower, in term 1"),
        ("asked_for_votes", "asks n2 and n3 for pre-votes for term 2"),
        ("role", "is now a pre-candidate, in term 2"),
        ("asked_for_votes", "asks n2 and n3 for votes in term 2"),
        ("role", "is now a candidate, in term 2"),
        ("elected", "leads term 2: elected by n1 and n2 in 0 ms"),
        ("role", "is now a leader, in term 2"),
        ("stepped_down", "leads no longer, and is in term 5: n3 leads term 5"),
        ("follows", "follows n3, the leader of term 5"),
        ("role", "is now a follower, in term 5"),
        (
            "suspected",
            "n3 (leader) fell silent: its connection closed, 0 ms after its last word",
        ),
    ]
    roles = [record for record in caplog.records if record.__dict__["kind"] == "role"]
    assert {record.levelno for record in roles} == {logging.DEBUG}
