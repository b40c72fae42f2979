"""The gateway actor, unstarted: tickets, time-outs, slow clients, and what goes where."""

from __future__ import annotations

import pytest

from actors.gateway import actor as gateway_module
from actors.gateway.answers import LARGE_ANSWER_BYTES
from actors.gateway.long_answers import ENCODING_MAX, ENCODING_MS, LongAnswers
from actors.gateway.outbox import ANSWERS_UNDER_WAY_BYTES_MAX, ClientOutbox
from actors.gateway.reception import Reception
from actors.gateway.replies import ITEMS_AT_ONCE, ReplyEncoder
from actors.gateway.room import LOOK_MS, RoomToSend
from actors.gateway.tickets import CHORE_TIMEOUT_MS, Pending
from actors.language.auth import NOBODY
from actors.language.codec import decode_command
from actors.language.commands import KeyValue, Member, MemberPublish, Put, Range, Txn
from actors.language.members import AddMember, PromoteMember, RemoveMember
from actors.language.messages import (
    ChangeMembers,
    ClientFrames,
    Congestion,
    Connection,
    ConnectionGone,
    Deliver,
    Failed,
    Leadership,
    Lengthy,
    LocalRead,
    Moved,
    MoveLeader,
    NoRoom,
    Question,
    Read,
    ReadSnapshot,
    Replies,
    Room,
    RoomToTell,
    Tick,
    WatchCancel,
    WatchOpen,
)
from actors.language.metrics import (
    Histogram,
    RaftMetrics,
    StoreMetrics,
    Survey,
    WatchMetrics,
)
from actors.language.results import (
    DeleteDone,
    Done,
    Failure,
    Members,
    PutDone,
    RangeDone,
    SnapshotBlob,
)
from cluster.visitors import SLOW_MS, UNREAD_BYTES_MAX, ClosedForCause, Gone
from cluster.wire import frames_in, pack, unpack
from tests.gateway.bench import (
    FIRST_TICKET,
    ONE,
    REQ,
    RESIDENT_BYTES,
    SETTINGS,
    TIMEOUT_MS,
    TWO,
    WALL_MS,
    Bench,
)
from tests.log_lines import written


def test_a_member_publishes_its_name_and_address_until_the_log_has_it() -> None:
    bench = Bench(published=False)
    bench.wait(2_000)
    first, *again = bench.proposed()
    command, sequence, _ = decode_command(first.command)
    assert (command, sequence) == (MemberPublish(22, "n1", ("tcp://127.0.0.1:2379",)), None)
    assert again == [first, first]
    bench.actor.receive(Replies(((first.ticket, Done(1)),)))
    bench.wait(10_000)
    assert bench.probes.raft.take() == []


def test_a_put_is_proposed_and_answered_on_its_connection() -> None:
    bench = Bench()
    bench.actor.receive(Leadership(leader=22, term=6, clock=None))
    bench.ask(REQ, op="put", key="k", value="v", id=1)
    (proposal,) = bench.proposed()
    assert (proposal.origin, proposal.ticket) == (22, FIRST_TICKET)
    assert decode_command(proposal.command) == (Put(b"k", b"v"), None, NOBODY)
    bench.actor.receive(Replies(((FIRST_TICKET, PutDone(8)),)))
    header = {"cluster_id": 11, "member_id": 22, "revision": 8, "raft_term": 6}
    assert bench.door.replies(REQ) == [{"id": 1, "header": header}]


def test_reads_go_through_raft_or_straight_to_the_store() -> None:
    bench = Bench()
    bench.ask(op="range", key="k")
    bench.ask(op="range", key="k", serializable=True)
    assert bench.probes.raft.take() == [Read((Question(FIRST_TICKET, Range(b"k")),))]
    question = Question(FIRST_TICKET + 1, Range(b"k"))
    assert bench.probes.store.take() == [LocalRead((question,))]
    bench.actor.receive(Replies(((FIRST_TICKET + 1, RangeDone(3, (), False, 0)),)))
    assert [reply["count"] for reply in bench.door.replies(ONE)] == [0]


def test_watch_requests_go_to_the_store_and_deliveries_to_the_client() -> None:
    bench = Bench()
    bench.ask(op="watch_create", key="k", id=3)
    bench.ask(op="watch_cancel", watch_id=1)
    opened, cancel = bench.probes.store.take()
    assert isinstance(opened, WatchOpen)
    assert cancel == WatchCancel(ONE, b"", 1)
    bench.actor.receive(Deliver(((ONE, b"a"), (TWO, b"b"), (ONE, b"c"))))
    assert bench.door.frames(ONE) == [b"a", b"c"]
    assert bench.door.frames(TWO) == [b"b"]


# --- members and leaders ---


def test_a_member_added_is_named_in_the_answer() -> None:
    bench = Bench()
    bench.ask(op="member_add", peerURLs=["tcp://h:1"], id=1)
    bench.allow()
    (asked,) = bench.probes.raft.take()
    assert isinstance(asked, ChangeMembers) and isinstance(asked.change, AddMember)
    assert asked.ticket == FIRST_TICKET + 1
    new = Member(asked.change.peer.id, "", asked.change.peer.peer_urls, (), False)
    bench.actor.receive(Replies(((asked.ticket, Members(8, (new,))),)))
    (reply,) = bench.door.replies(ONE)
    assert reply["member"]["ID"] == asked.change.peer.id
    assert reply["members"] == (reply["member"],)


def test_other_changes_of_members_are_answered_with_all() -> None:
    bench = Bench()
    bench.ask(op="member_remove", ID=5)
    bench.ask(op="member_promote", ID=6)
    bench.allow()
    asked = bench.probes.raft.take()
    assert asked == [
        ChangeMembers(RemoveMember(5), FIRST_TICKET + 2),
        ChangeMembers(PromoteMember(6), FIRST_TICKET + 3),
    ]
    bench.actor.receive(Replies(((FIRST_TICKET + 2, Members(8, ())),)))
    (reply,) = bench.door.replies(ONE)
    assert reply.keys() == {"header", "members"}


def test_a_change_that_is_refused_or_unanswered_says_so() -> None:
    bench = Bench()
    bench.ask(op="member_remove", ID=5)
    bench.allow()
    bench.actor.receive(Failed((FIRST_TICKET + 1,), Failure("MemberNotFound"), False))
    assert bench.errors() == [{"code": 5, "message": "etcdserver: member not found"}]
    bench.probes.raft.take()
    bench.ask(op="member_remove", ID=5)
    bench.allow()
    bench.wait(TIMEOUT_MS)
    (late,) = bench.errors()
    assert (late["message"], late["unknown"]) == ("etcdserver: request timed out", True)


def test_a_moved_leader_is_answered_once() -> None:
    bench = Bench()
    bench.ask(op="move_leader", targetID=7, id=2)
    bench.allow()
    assert bench.probes.raft.take() == [MoveLeader(7, FIRST_TICKET + 1)]
    for _ in range(2):
        bench.actor.receive(Moved(FIRST_TICKET + 1))
    assert [reply["id"] for reply in bench.door.replies(ONE)] == [2]


def test_a_node_is_a_learner_for_its_clients_until_it_is_promoted() -> None:
    bench = Bench()
    bench.actor.receive(Leadership(leader=5, term=6, clock=None, is_learner=True))
    bench.ask(op="put", key="k")
    refused = {"code": 9, "message": "etcdserver: rpc not supported for learner"}
    assert bench.errors() == [refused]
    bench.ask(op="range", key="k", serializable=True)
    assert len(bench.probes.store.take()) == 1
    bench.actor.receive(Leadership(leader=5, term=6, clock=None))
    bench.ask(op="put", key="k")
    assert len(bench.proposed()) == 1


def test_a_req_socket_is_told_that_watching_needs_a_dealer() -> None:
    bench = Bench()
    bench.ask(REQ, op="watch_create", key="k", id=3)
    (reply,) = bench.door.replies(REQ)
    assert reply["id"] == 3
    assert "DEALER" in reply["error"]["message"]
    assert bench.probes.store.take() == []


def test_a_failure_of_a_write_says_when_its_outcome_is_unknown() -> None:
    bench = Bench()
    for _ in range(2):
        bench.ask(op="put", key="k")
    bench.ask(op="range", key="k")
    changed = Failure("LeaderChanged")
    bench.actor.receive(Failed((FIRST_TICKET,), changed, outcome_unknown=False))
    bench.actor.receive(Failed((FIRST_TICKET + 1, FIRST_TICKET + 2, 5), changed, True))
    error = {"code": 14, "message": "etcdserver: leader changed"}
    assert bench.errors() == [error, {**error, "unknown": True}, error]


def test_a_request_times_out_once_and_a_late_answer_is_dropped() -> None:
    bench = Bench()
    bench.ask(op="put", key="k", id=1)
    bench.wait(100)
    bench.ask(op="range", key="k", id=2)
    bench.wait(TIMEOUT_MS - 101)
    assert bench.door.replies(ONE) == []
    bench.wait(1)
    error = {"code": 14, "message": "etcdserver: request timed out"}
    assert bench.door.replies(ONE) == [{"id": 1, "error": {**error, "unknown": True}}]
    bench.wait(100)
    assert bench.door.replies(ONE) == [{"id": 2, "error": error}]
    bench.actor.receive(Replies(((FIRST_TICKET, PutDone(8)),)))
    assert bench.door.replies(ONE) == []
    assert bench.actor.mailbox.next_wake_ms is None


def test_an_answered_request_does_not_time_out() -> None:
    bench = Bench()
    bench.ask(op="put", key="k")
    bench.actor.receive(Replies(((FIRST_TICKET, PutDone(8)),)))
    assert len(bench.door.replies(ONE)) == 1
    bench.wait(3 * TIMEOUT_MS)
    assert bench.door.replies(ONE) == []


def test_requests_beyond_the_limit_are_refused_until_others_are_answered() -> None:
    bench = Bench(SETTINGS._replace(requests_max=1))
    bench.ask(op="put", key="k")
    bench.ask(op="range", key="k", id=4)
    refused = {"code": 8, "message": "etcdserver: too many requests"}
    assert bench.door.replies(ONE) == [{"id": 4, "error": refused}]
    bench.actor.receive(Replies(((FIRST_TICKET, PutDone(8)),)))
    bench.ask(op="put", key="k")
    assert [proposal.ticket for proposal in bench.proposed()] == [FIRST_TICKET, FIRST_TICKET + 1]


@pytest.mark.parametrize(
    ("route", "back"),
    [
        ((b"\0one", b"junk"), (b"\0one",)),
        ((b"\0req", b"", b"junk"), (b"\0req", b"")),
        ((b"\0one", *([b"x"] * 9), b""), (b"\0one",)),
        ((b"\0one", b"x" * 2_000, b""), (b"\0one",)),
    ],
)
def test_frames_that_belong_to_no_envelope_are_an_error(
    route: Connection, back: Connection
) -> None:
    bench = Bench()
    bench.ask(route, op="put", key="k")
    assert [error["code"] for error in bench.errors(back)] == [3]
    assert bench.probes.raft.take() == []


def test_a_request_by_way_of_a_proxy_is_answered_by_the_same_way() -> None:
    bench = Bench()
    proxied = (b"\0proxy", b"\0client", b"")
    bench.ask(proxied, op="put", key="k")
    bench.actor.receive(Replies(((FIRST_TICKET, PutDone(8)),)))
    assert len(bench.door.replies(proxied)) == 1


def test_a_client_that_is_gone_loses_its_watches_once() -> None:
    bench = Bench()
    bench.door.gone.add(ONE)
    bench.actor.receive(Deliver(((ONE, b"a"), (ONE, b"b"))))
    bench.actor.receive(Deliver(((ONE, b"c"),)))
    assert bench.probes.store.take() == [ConnectionGone(ONE)]


def test_a_slow_client_gets_all_its_events_late_and_in_order() -> None:
    bench = Bench()
    bench.door.full.add(ONE)
    bench.actor.receive(Deliver(((ONE, b"a"), (ONE, b"b"))))
    bench.wait(50)
    bench.door.full.clear()
    bench.wait(gateway_module.BACKLOG_RETRY_MS)
    assert bench.door.frames(ONE) == [b"a", b"b"]
    assert bench.probes.store.take() == []
    assert bench.actor.mailbox.next_wake_ms is None


def test_a_client_that_is_too_slow_gets_no_event_after_the_gap() -> None:
    bench = Bench()
    bench.actor._outbox = ClientOutbox(bench.door, connection_bytes_max=200)
    bench.door.full.add(ONE)
    bench.actor.receive(Deliver(tuple((ONE, bytes(50)) for _ in range(3))))
    assert bench.probes.store.take() == [ConnectionGone(ONE, gateway_module.SLOW_READER)]
    bench.door.full.clear()
    bench.actor.receive(Deliver(((ONE, b"after the gap"), (TWO, b"other"))))
    assert bench.door.frames(ONE) == []
    assert bench.door.frames(TWO) == [b"other"]
    bench.actor.receive(Deliver(((ONE, b"canceled"),), ended=(ONE,)))
    assert bench.door.frames(ONE) == [b"canceled"]


def test_events_of_one_message_are_one_batch_where_batches_are_known() -> None:
    bench = Bench()
    bench.door.batching.add(ONE)
    bench.actor.receive(Deliver(((ONE, b"a"), (TWO, b"x"), (ONE, b"b"), (TWO, b"y"))))
    assert bench.door.frames(ONE) == [pack([b"a", b"b"])]
    assert bench.door.frames(TWO) == [b"x", b"y"]


def test_a_connection_with_batches_that_is_too_slow_or_gone_has_no_watches_any_more() -> None:
    bench = Bench()
    bench.door.batching |= {ONE, TWO}
    bench.actor._outbox = ClientOutbox(bench.door, connection_bytes_max=200)
    bench.door.full.add(ONE)
    bench.door.gone.add(TWO)
    bench.actor.receive(Deliver(tuple((to, bytes(50)) for _ in range(200) for to in (ONE, TWO))))
    gone = [ConnectionGone(ONE, gateway_module.SLOW_READER), ConnectionGone(TWO, "")]
    assert bench.probes.store.take() == gone


def test_a_node_that_stops_sends_what_has_gathered() -> None:
    bench = Bench()
    bench.door.batching.add(ONE)
    for number in range(2):
        bench.ask(op="put", key="k", id=number)
    bench.actor.close()
    (frame,) = bench.door.frames(ONE)
    told = [unpack(each) for each in frames_in(frame)]
    assert [each["error"]["message"] for each in told] == ["etcdserver: server stopped"] * 2


def test_watches_are_told_more_when_there_is_room_for_it() -> None:
    bench = Bench()
    bench.actor.receive(Deliver(((ONE, b"a"),)))
    assert bench.probes.store.take() == []
    bench.actor.receive(Deliver(((ONE, b"b"),), asks=True))
    assert bench.probes.store.take() == [RoomToTell()]
    bench.door.unread_bytes = UNREAD_BYTES_MAX + 1
    bench.actor.receive(Deliver(((ONE, b"c"),), asks=True))
    bench.wait(10_000)
    assert bench.probes.store.take() == []
    bench.door.unread_bytes = UNREAD_BYTES_MAX
    bench.wait(LOOK_MS)
    assert bench.probes.store.take() == [RoomToTell()]
    bench.wait(10_000)
    assert bench.probes.store.take() == []


def test_without_room_for_long_those_with_the_most_waiting_lose_it() -> None:
    bench = Bench()
    outbox = bench.actor._outbox = ClientOutbox(bench.door)
    bench.actor._room = RoomToSend(outbox, 1_000, SLOW_MS)
    bench.door.full |= {ONE, TWO, REQ}
    sizes = ((ONE, 600), (TWO, 900), (REQ, 100))
    bench.actor.receive(Deliver(tuple((to, bytes(size)) for to, size in sizes), asks=True))
    bench.wait(SLOW_MS - 1)
    assert bench.probes.store.take() == []
    bench.wait(LOOK_MS)
    gone = [ConnectionGone(each, gateway_module.SLOW_READER) for each in (TWO, ONE)]
    assert bench.probes.store.take() == gone
    bench.wait(LOOK_MS)
    assert bench.probes.store.take() == [RoomToTell()]
    assert list(outbox.backlogs) == [REQ]


def test_a_connection_for_which_much_waits_is_congested_until_it_has_read_all() -> None:
    bench = Bench()
    bench.actor._outbox = ClientOutbox(bench.door, congested_bytes=200)
    bench.door.full.add(ONE)
    bench.actor.receive(Deliver(tuple((ONE, b"%d" % n * 50) for n in range(4))))
    assert bench.probes.store.take() == [Congestion(ONE, True)]
    bench.door.full.clear()
    bench.wait(gateway_module.BACKLOG_RETRY_MS)
    assert bench.probes.store.take() == [Congestion(ONE, False)]
    assert bench.door.frames(ONE) == [b"%d" % n * 50 for n in range(4)]


def test_a_transaction_that_only_reads_is_a_read() -> None:
    bench = Bench()
    bench.ask(op="txn", success=[{"request_range": {"key": "k"}}])
    txn = Txn((), (Range(b"k"),), ())
    assert bench.probes.raft.take() == [Read((Question(FIRST_TICKET, txn),))]
    bench.ask(op="txn", success=[{"request_range": {"key": "k", "serializable": True}}])
    assert bench.probes.store.take() == [LocalRead((Question(FIRST_TICKET + 1, txn),))]


def test_what_finds_no_room_is_refused_and_the_store_is_told_of_it() -> None:
    bench = Bench()
    bench.actor.receive(Room(0))
    bench.ask(op="put", key="k")
    full = {"code": 8, "message": "etcdserver: mvcc: database space exceeded"}
    assert bench.errors() == [full]
    assert bench.probes.store.take() == [NoRoom()]
    bench.actor.receive(Room(None))
    bench.ask(op="put", key="k")
    assert len(bench.proposed()) == 1


def test_answer_that_has_been_begun_may_take_longer_than_a_request() -> None:
    bench = Bench()
    bench.ask(op="range", key="k", range_end="z", serializable=True, id=1)
    bench.ask(op="put", key="k", id=2)
    bench.actor.receive(Lengthy((FIRST_TICKET, 12_345)))
    bench.wait(TIMEOUT_MS)
    assert [reply["id"] for reply in bench.door.replies(ONE)] == [2]
    bench.actor.receive(Replies(((FIRST_TICKET, RangeDone(8, (), False, 0)),)))
    assert [reply["id"] for reply in bench.door.replies(ONE)] == [1]


def _found(keys: int) -> RangeDone:
    kvs = tuple(KeyValue(b"%d" % number, 2, 2, 1, b"v", 0) for number in range(keys))
    return RangeDone(8, kvs, False, keys)


def test_a_long_answer_is_encoded_between_others() -> None:
    bench = Bench()
    for connection in (ONE, TWO):
        bench.ask(connection, op="range", key="k", range_end="z", id=1)
    long, short = _found(ITEMS_AT_ONCE + 1), _found(1)
    bench.actor.receive(Replies(((FIRST_TICKET, long), (FIRST_TICKET + 1, short))))
    assert [reply["count"] for reply in bench.door.replies(TWO)] == [1]
    assert bench.door.replies(ONE) == []
    bench.wait(0)
    (reply,) = bench.door.replies(ONE)
    assert (reply["id"], len(reply["kvs"])) == (1, ITEMS_AT_ONCE + 1)


def test_a_long_page_without_a_count_is_encoded_between_others() -> None:
    page = _found(ITEMS_AT_ONCE + 1)._replace(count=0)
    assert not isinstance(ReplyEncoder(1, 2, "0", 1_000).encode(b"", page), bytes)
    short = _found(ITEMS_AT_ONCE)._replace(count=0)
    assert isinstance(ReplyEncoder(1, 2, "0", 1_000).encode(b"", short), bytes)


def test_a_slice_of_a_long_answer_ends_with_its_time() -> None:
    answers, read = LongAnswers(), 0
    pending = Pending(ONE, b"", False, 0)
    frame = ReplyEncoder(1, 2, "0", 1_000).encode(b"", _found(ITEMS_AT_ONCE + 1))
    assert not isinstance(frame, bytes) and answers.begin(pending, frame)

    def clock() -> int:
        nonlocal read
        read += ENCODING_MS
        return read

    slices = 0
    while answers.under_way:
        done = list(answers.work(clock))
        slices += 1
    assert slices > 3
    assert [each for each, _ in done] == [pending]


def test_too_many_long_answers_at_once_are_refused_but_not_those_to_changes() -> None:
    bench = Bench()
    for _ in range(ENCODING_MAX + 1):
        bench.ask(op="range", key="k", range_end="z")
    bench.ask(op="delete_range", key="k", range_end="z", prev_kv=True)
    tickets = range(FIRST_TICKET, FIRST_TICKET + ENCODING_MAX + 1)
    answer = _found(ITEMS_AT_ONCE + 1)
    bench.actor.receive(Replies(tuple((ticket, answer) for ticket in tickets)))
    assert [error["message"] for error in bench.errors()] == ["etcdserver: too many requests"]
    change = tickets[-1] + 1
    bench.actor.receive(Replies(((change, DeleteDone(8, len(answer.kvs), answer.kvs)),)))
    bench.wait(0)
    *_, deleted = replies = bench.door.replies(ONE)
    assert (len(replies), deleted["deleted"]) == (ENCODING_MAX + 1, len(answer.kvs))


def test_work_on_files_may_take_longer_than_a_request() -> None:
    bench = Bench()
    bench.ask(op="snapshot", id=1)
    bench.ask(op="put", key="k", id=2)
    assert bench.probes.store.take() == [ReadSnapshot(FIRST_TICKET, "", 0)]
    bench.wait(TIMEOUT_MS)
    assert [reply["id"] for reply in bench.door.replies(ONE)] == [2]
    bench.actor.receive(Replies(((FIRST_TICKET, SnapshotBlob(8, "s", b"b", 5, b"h")),)))
    (reply,) = bench.door.replies(ONE)
    assert (reply["id"], reply["name"], reply["remaining_bytes"]) == (1, "s", 5)
    bench.ask(op="snapshot", id=3)
    bench.wait(CHORE_TIMEOUT_MS + 1_000)
    assert [error["message"] for error in bench.errors()] == ["etcdserver: request timed out"]


def test_a_gateway_that_stops_answers_what_waits_and_closes_its_door() -> None:
    bench = Bench()
    bench.ask(op="put", key="k")
    bench.ask(op="range", key="k")
    bench.actor.close()
    stopped = {"code": 14, "message": "etcdserver: server stopped"}
    assert bench.errors() == [{**stopped, "unknown": True}, stopped]
    assert bench.door.closed
    bench.actor.close()


def test_a_burst_of_requests_is_one_message_in_order() -> None:
    bench = Bench()
    frames = tuple((ONE, pack({"op": "put", "key": str(n)})) for n in range(64))
    bench.actor.receive(ClientFrames(frames))
    ((proposals,),) = bench.probes.raft.take()
    commands = [decode_command(proposal.command)[0] for proposal in proposals]
    assert commands == [Put(str(n).encode(), b"") for n in range(64)]
    tickets = tuple(proposal.ticket for proposal in proposals)
    bench.actor.receive(Replies(tuple((ticket, PutDone(ticket)) for ticket in tickets)))
    sent = [unpack(frame)["header"]["revision"] for frame in bench.door.frames(ONE)]
    assert sent == list(tickets)


# --- what connections keep waiting ---


def test_a_large_answer_is_refused_while_clients_leave_too_much_unread() -> None:
    bench = Bench()
    bench.door.unread_bytes = ANSWERS_UNDER_WAY_BYTES_MAX
    large = KeyValue(b"k", 1, 1, 1, bytes(LARGE_ANSWER_BYTES), 0)
    for number, kvs in enumerate([(large,), ()]):
        bench.ask(op="range", key="k", id=number)
        done = RangeDone(8, kvs, False, len(kvs))
        bench.actor.receive(Replies(((FIRST_TICKET + number, done),)))
    refused, served = bench.door.replies(ONE)
    assert (refused["id"], refused["error"]["code"]) == (0, 8)
    assert (served["id"], served["count"]) == (1, 0)


def test_what_is_done_is_said_however_much_is_unread() -> None:
    bench = Bench()
    bench.door.unread_bytes = ANSWERS_UNDER_WAY_BYTES_MAX
    bench.ask(op="put", key="k", prev_kv=True, id=1)
    before = KeyValue(b"k", 1, 1, 1, bytes(LARGE_ANSWER_BYTES), 0)
    bench.actor.receive(Replies(((FIRST_TICKET, PutDone(8, before)),)))
    assert "prev_kv" in bench.door.replies(ONE)[0]


def test_the_watches_of_a_connection_that_is_gone_are_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.door.look_ms = 100
    bench.actor._reception = Reception(bench.door.look, 100, bench.clock())
    bench.door.news = [
        Gone(ONE[0]),
        ClosedForCause("closed", "10.0.0.1"),
        ClosedForCause("closed", "10.0.0.1"),
    ]
    bench.actor.receive(Tick(bench.clock.advance(100)))
    assert bench.probes.store.take() == [ConnectionGone(ONE, "")]
    assert written(caplog.records) == ["closed, from 10.0.0.1"]


TIMES = Histogram().read()
WENT_ROUND = Survey(
    FIRST_TICKET + 1,
    9,
    RaftMetrics(True, True, False, 5, 1, 0, 2, 0, TIMES, 0, 0, ()),
    StoreMetrics._make([9, TIMES, *range(10), -1, *range(6), ()]),
    WatchMetrics(1, 2, 3, 4),
)


def test_a_survey_goes_round_the_ring_and_its_asker_hears_what_all_have_counted() -> None:
    bench = Bench()
    bench.actor.receive(Leadership(leader=5, term=6, clock=None, is_learner=True))
    bench.ask(op="metrics", id="m")
    assert bench.probes.raft.take() == [Survey(FIRST_TICKET)]
    bench.actor.receive(WENT_ROUND._replace(ticket=FIRST_TICKET))
    (reply,) = bench.door.replies(ONE)
    assert (reply["id"], reply["header"]["revision"]) == ("m", 9)
    assert (reply["requests_under_way"], reply["leader_changes"], reply["watchers"]) == (0, 1, 1)
    assert (reply["wall_ms"], reply["resident_bytes"]) == (WALL_MS, RESIDENT_BYTES)
    bench.actor.receive(WENT_ROUND._replace(ticket=FIRST_TICKET))
    assert bench.door.replies(ONE) == []


def test_requests_that_wait_and_that_have_failed_are_counted() -> None:
    bench = Bench()
    bench.ask(op="put", key="k")
    bench.ask(op="metrics")
    bench.ask(op="put", key="k")
    bench.ask(op="range", key="k")
    bench.actor.receive(Failed((FIRST_TICKET + 2, FIRST_TICKET + 3), Failure("Timeout"), True))
    bench.door.replies(ONE)
    bench.actor.receive(WENT_ROUND)
    (reply,) = bench.door.replies(ONE)
    assert (reply["requests_under_way"], reply["proposals_pending"]) == (1, 1)
    assert (reply["proposals_failed"], reply["read_indexes_failed"]) == (1, 1)
