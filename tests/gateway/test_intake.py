"""What requests become, whom they are told, and who is refused: no actor, no socket."""

from __future__ import annotations

from typing import Any

from actors.gateway.departures import Departures
from actors.gateway.identities import Identities
from actors.gateway.intake import Answer, Intake, Order
from actors.gateway.newcomers import LeaseGrants, Newcomers
from actors.gateway.openings import OpeningLimits, Openings
from actors.gateway.reception import Reception
from actors.gateway.requests import RequestDecoder
from actors.gateway.stages import Reply, SessionOpening, Stages, StageSettings
from actors.gateway.throttle import Throttle
from actors.gateway.tickets import CHORE_TIMEOUT_MS, Pending, Tickets
from actors.language.auth import NOBODY
from actors.language.codec import decode_command
from actors.language.commands import Put, SessionOpen
from actors.language.members import Transfer
from actors.language.messages import (
    ChangeMembers,
    ConnectionGone,
    Defragment,
    LocalRead,
    MoveLeader,
    NoRoom,
    Propose,
    Question,
    Read,
    WatchOpen,
)
from actors.language.queries import Permit
from actors.language.results import Done, Failure
from cluster.wire import pack, unpack
from tests.gateway.bench import ONE, REQ, SETTINGS, TIMEOUT_MS, TWO
from tests.twins import AtOnce

NOW_MS = 5_000
FIRST = 100
LIMITS = OpeningLimits()
TOO_MANY = "etcdserver: too many requests"


class Desk:
    """The intake of one gateway, and what it shares with the answers."""

    def __init__(
        self,
        requests_max: int = 50,
        waiting_bytes_max: int = 10_000,
        limits: OpeningLimits = LIMITS,
    ) -> None:
        self.tickets = Tickets(FIRST, requests_max)
        self.throttle = Throttle(1, waiting_bytes_max, waiting_bytes_max)
        grants = LeaseGrants(SETTINGS.member_id, 0, SETTINGS.lease_ttl_ms_min)
        self.decoder = RequestDecoder(
            grants, Newcomers("", lambda: 0), 1_000, bytes, Identities(lambda: 0)
        )
        openings = Openings(lambda bits: bits, limits)
        staged = StageSettings(SETTINGS.member_id, TIMEOUT_MS, 300, cost_log2=1)
        self.stages = Stages(
            staged, self.tickets, lambda bits: bits, lambda: 0, AtOnce(), lambda: None
        )
        self.intake = Intake(
            SETTINGS, self.decoder, self.tickets, self.throttle, openings, self.stages
        )

    def take(self, *requests: dict[str, Any], route: tuple[bytes, ...] = ONE) -> list[Order]:
        """A burst of requests on one connection."""
        return self.intake.take(tuple((route, pack(each)) for each in requests), NOW_MS)


def errors(orders: list[Order]) -> list[str]:
    """What the clients are told of faults."""
    answers = [order for order in orders if isinstance(order, Answer)]
    return [unpack(answer.frame)["error"]["message"] for answer in answers]


def put(size: int = 1) -> dict[str, Any]:
    return {"op": "put", "key": "k", "value": bytes(size)}


def test_all_writes_and_reads_of_a_burst_are_told_together() -> None:
    desk = Desk()
    orders = desk.take(
        {"op": "range", "key": "k", "serializable": True},
        {"op": "range", "key": "k"},
        put(),
        {"op": "range", "key": "l"},
    )
    write, read, local = orders
    assert isinstance(write, Propose) and isinstance(read, Read) and isinstance(local, LocalRead)
    ((origin, ticket, command),) = write.proposals
    assert (origin, ticket) == (SETTINGS.member_id, FIRST + 2)
    assert isinstance(decode_command(command)[0], Put)
    assert [each.ticket for each in read.questions] == [FIRST + 1, FIRST + 3]
    assert [each.ticket for each in local.questions] == [FIRST]


def test_each_has_a_ticket_for_as_long_as_a_request_may_take() -> None:
    desk = Desk()
    desk.take(put())
    assert desk.tickets.take(FIRST) == Pending(ONE, b"", True, NOW_MS + TIMEOUT_MS)


def test_a_watch_has_none_and_goes_to_the_store() -> None:
    desk = Desk()
    (opened,) = desk.take({"op": "watch_create", "key": "k"})
    assert isinstance(opened, WatchOpen)
    assert not list(desk.tickets)


def test_what_is_no_request_is_answered_at_once() -> None:
    desk = Desk()
    assert len(errors(desk.take({"op": "dance"}))) == 1
    orders = desk.intake.take((((b"a", b"b", b"c"), b"x"),), NOW_MS)
    assert errors(orders) == ["leasehold: a request must be one frame"]


def test_requests_beyond_the_limit_are_refused() -> None:
    desk = Desk(requests_max=2)
    orders = desk.take(put(), {"op": "range", "key": "k"}, put(), {"op": "defragment"})
    assert errors(orders) == [TOO_MANY] * 2


def test_writes_are_refused_while_too_many_bytes_of_others_wait() -> None:
    desk = Desk(waiting_bytes_max=1_000)
    told = [desk.take(put(400)) for _ in range(5)]
    assert [errors(orders) for orders in told] == [[], [], [], [TOO_MANY], [TOO_MANY]]
    assert [len(orders) for orders in told[:3]] == [1, 0, 0], "one is under way, two wait"


def test_what_waits_is_let_in_when_what_was_under_way_is_done() -> None:
    desk = Desk()
    desk.take(put(), put())
    desk.throttle.done(FIRST)
    (let_in,) = desk.intake.let_in((), NOW_MS)
    assert isinstance(let_in, Propose)
    assert [each.ticket for each in let_in.proposals] == [FIRST + 1]
    assert desk.intake.let_in((), NOW_MS) == []


def test_what_there_is_no_room_for_is_refused_and_the_store_hears_of_it() -> None:
    desk = Desk()
    desk.decoder.room = 10
    orders = desk.take(put(500))
    assert errors(orders) == ["etcdserver: mvcc: database space exceeded"]
    assert orders[1:] == [NoRoom()]


# --- sessions ---------------------------------------------------------------------------------


def test_sessions_are_opened_one_after_another_and_no_more_than_may_be() -> None:
    desk = Desk(limits=OpeningLimits(connection_burst=1))
    assert isinstance(desk.take({"op": "session_open"})[0], Propose)
    assert errors(desk.take({"op": "session_open"})) == [TOO_MANY]
    assert not errors(desk.take({"op": "session_open"}, route=TWO))


def test_another_id_is_tried_under_another_ticket_whatever_was_opened_before() -> None:
    desk = Desk(limits=OpeningLimits(connection_burst=1))
    desk.take({"op": "session_open"})
    pending = desk.tickets.take(FIRST)
    desk.throttle.done(FIRST)
    assert pending is not None and pending.next == SessionOpening(1, NOBODY)
    (again,) = desk.intake.let_in((pending,), NOW_MS + 7)
    assert isinstance(again, Propose)
    ((_, ticket, command),) = again.proposals
    assert ticket == FIRST + 1
    assert isinstance(decode_command(command)[0], SessionOpen)
    retried = desk.tickets.take(ticket)
    assert retried is not None
    assert retried.next == SessionOpening(2, NOBODY)
    assert retried.deadline_ms == NOW_MS + 7 + TIMEOUT_MS


# --- what others do ---------------------------------------------------------------------------


def test_consensus_is_told_of_members_and_leaders_when_the_store_allows_it() -> None:
    desk = Desk()
    asked, _ = desk.take(
        {"op": "move_leader", "targetID": 7}, {"op": "member_add", "peerURLs": ["tcp://h:1"]}
    )
    assert asked == Read((Question(FIRST, Permit(Transfer(7))),))
    moving, adding = map(desk.tickets.take, (FIRST, FIRST + 1))
    assert moving is not None and adding is not None
    denied = Failure("PermissionDenied")
    assert desk.stages.answered(moving, denied, NOW_MS) == Reply(moving, denied)
    assert desk.stages.answered(moving, Done(1), NOW_MS) == MoveLeader(7, FIRST + 2)
    assert isinstance(desk.stages.answered(adding, Done(1), NOW_MS), ChangeMembers)
    pending = desk.tickets.take(FIRST + 3)
    assert pending is not None
    assert pending.added, "the answer names the member that is added"
    assert pending.mutates and not adding.mutates


def test_work_on_files_has_more_time() -> None:
    desk = Desk()
    assert desk.take({"op": "defragment"}, route=REQ) == [Defragment(FIRST)]
    assert desk.tickets.overdue(NOW_MS + CHORE_TIMEOUT_MS - 1) == ()
    assert desk.tickets.overdue(NOW_MS + CHORE_TIMEOUT_MS) == (FIRST,)


def test_a_learner_serves_what_it_can_say_for_itself() -> None:
    desk = Desk()
    desk.intake.serve(is_learner=True)
    assert errors(desk.take(put())) == ["etcdserver: rpc not supported for learner"]
    desk.intake.serve(is_learner=False)
    assert not errors(desk.take(put()))


# --- connections ------------------------------------------------------------------------------


def test_a_connection_leaves_once_until_that_is_confirmed() -> None:
    departures = Departures()
    assert departures.begin(ONE, "too slow") == [ConnectionGone(ONE, "too slow")]
    assert departures.begin(ONE, "") == []
    assert departures.connections == {ONE}
    departures.confirmed((ONE, TWO))
    assert departures.begin(ONE, "") == [ConnectionGone(ONE, "")]


def test_a_door_is_looked_at_when_it_wants_to_be() -> None:
    looks: list[str] = []
    reception = Reception(lambda: [*looks], 100, NOW_MS)
    looks.append("news")
    assert reception.news(NOW_MS + 99) == []
    assert reception.news(NOW_MS + 100) == ["news"]
    assert reception.due_ms == NOW_MS + 200
    never = Reception(lambda: [*looks], None, NOW_MS)
    assert (never.due_ms, never.news(1 << 40)) == (None, [])
