"""Who may open a session, and the ids that sessions get: chosen by chance, tried again if taken."""

from __future__ import annotations

import pytest

from actors.gateway.openings import IDS_MAX, OpeningLimits, Openings
from actors.language.auth import NOBODY
from actors.language.codec import decode_command
from actors.language.commands import SessionOpen
from actors.language.messages import Replies
from actors.language.results import Failure, SessionOpened
from tests.gateway.bench import ONE, SETTINGS, TWO, Bench

TAKEN = Failure("SessionExist")
TOO_MANY = "etcdserver: too many requests"
LIMITS = OpeningLimits(connection_burst=2, connection_ms=1_000, node_burst=5, node_ms=100)


@pytest.fixture
def openings() -> Openings:
    """With limits that are met at once."""
    return Openings(lambda bits: bits, LIMITS)


def test_a_connection_opens_some_at_once_and_then_one_at_a_time(openings: Openings) -> None:
    assert [openings.admit(ONE, 5_000) for _ in range(3)] == [True, True, False]
    assert openings.admit(TWO, 5_000)
    assert not openings.admit(ONE, 5_999)
    assert openings.admit(ONE, 6_000)
    assert not openings.admit(ONE, 6_000)
    assert [openings.admit(ONE, 60_000) for _ in range(3)] == [True, True, False]


def test_a_node_opens_some_at_once_and_then_one_at_a_time(openings: Openings) -> None:
    strangers = [(b"\0%d" % number,) for number in range(20)]
    assert [openings.admit(each, 5_000) for each in strangers[:7]] == [True] * 5 + [False] * 2
    assert [openings.admit(each, 5_200) for each in strangers[7:10]] == [True, True, False]


def test_connections_that_are_gone_are_forgotten_and_refused_ones_never_known() -> None:
    openings = Openings(lambda bits: bits, LIMITS)
    for number in range(10_000):
        openings.admit((b"\0%d" % number,), number)
    # As many as the node lets in during the second that each of them is remembered.
    assert len(openings._full_ms) <= 1_000 // LIMITS.node_ms + LIMITS.node_burst


def _session_ids(bench: Bench) -> list[int]:
    commands = [decode_command(each.command)[0] for each in bench.proposed()]
    return [command.id for command in commands if isinstance(command, SessionOpen)]


def test_a_session_gets_an_id_of_63_random_bits() -> None:
    asked: list[int] = []

    def random_bits(bits: int) -> int:
        asked.append(bits)
        return 2**62 + 7

    bench = Bench(random_bits=random_bits)
    bench.ask(op="session_open", id=1)
    (proposal,) = bench.proposed()
    assert decode_command(proposal.command) == (SessionOpen(2**62 + 7), None, NOBODY)
    bench.actor.receive(Replies(((proposal.ticket, SessionOpened(3, 2**62 + 7)),)))
    assert bench.door.replies(ONE)[0]["session"] == 2**62 + 7
    assert asked == [63]


def test_0_stands_for_no_session_and_is_no_id() -> None:
    bench = Bench(random_bits=lambda bits: 0)
    bench.ask(op="session_open")
    assert _session_ids(bench) == [1]


def test_another_id_is_tried_when_one_is_taken() -> None:
    ids = iter((5, 6, 7))
    bench = Bench(random_bits=lambda bits: next(ids))
    bench.ask(op="session_open", id=1)
    for _ in range(2):
        (proposal,) = bench.proposed()
        bench.actor.receive(Replies(((proposal.ticket, TAKEN),)))
        assert bench.door.replies(ONE) == []
    (proposal,) = bench.proposed()
    bench.actor.receive(Replies(((proposal.ticket, SessionOpened(3, 7)),)))
    (reply,) = bench.door.replies(ONE)
    assert (reply["id"], reply["session"]) == (1, 7)


def test_a_source_that_repeats_itself_does_not_keep_a_node_busy_for_ever() -> None:
    bench = Bench(random_bits=lambda bits: 5)
    bench.ask(op="session_open")
    tried = 0
    while proposals := bench.proposed():
        tried += len(proposals)
        bench.actor.receive(Replies(((proposals[0].ticket, TAKEN),)))
    assert tried == IDS_MAX
    assert [error["code"] for error in bench.errors()] == [14]


def test_a_client_that_opens_too_many_sessions_is_told_so() -> None:
    bench = Bench(SETTINGS._replace(opening_limits=LIMITS), random_bits=lambda bits: bits)
    for number in range(3):
        bench.ask(op="session_open", id=number)
    bench.ask(TWO, op="session_open")
    assert len(_session_ids(bench)) == 3
    assert bench.door.replies(ONE) == [{"id": 2, "error": {"code": 8, "message": TOO_MANY}}]
    assert bench.door.replies(TWO) == []
