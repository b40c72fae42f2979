"""The log as followers keep it and as the leader brings it to them (Raft 5.3)."""

from __future__ import annotations

import pytest

from actors.raft.leader import APPEND_BYTES_MAX, COMMIT_NOTICE_MS
from actors.raft.progress import INFLIGHT_APPENDS_MAX
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    HardState,
    Heartbeat,
    HeartbeatResponse,
    Message,
    VoteResponse,
)
from tests.raft.harness import (
    ELECTION_MS,
    HEARTBEAT_MS,
    Cluster,
    Solo,
    entries,
    entry,
    load,
    make_core,
    terms_of,
)


def append(
    prev_index: int, prev_term: int, *terms: int, commit: int = 0, term: int = 9
) -> AppendRequest:
    """Member 2, which leads `term`, appends entries of these terms at member 1."""
    new = entries(prev_index + 1, *terms)
    return AppendRequest(2, 1, term, term, prev_index, prev_term, commit, new)


def leader(terms: tuple[int, ...] = (), members: int = 3) -> Solo:
    """Member 1, which has just won term 9 and has sent its first appends."""
    solo = Solo(make_core(members=members, terms=terms, hard_state=HardState(8, 0, 0)))
    solo.tick()
    voters = range(2, members // 2 + 2)
    solo.step(*(VoteResponse(voter, 1, 9, True, True) for voter in voters))
    solo.step(*(VoteResponse(voter, 1, 9, False, True) for voter in voters))
    return solo


def ack(source: int, index: int, stream: int = 9) -> AppendResponse:
    """A follower holds the log up to `index`."""
    return AppendResponse(source, 1, 9, stream, index, False, 0, 0)


# --- a follower's log ---


@pytest.mark.parametrize(
    ("prev_index", "prev_term", "hint"),
    [
        (3, 3, (2, 2)),
        (1, 2, (1, 1)),
        (2, 1, (1, 1)),
        (3, 2, (2, 2)),
        (9, 9, (2, 2)),
        (2, 9, (2, 2)),
    ],
)
def test_a_follower_rejects_an_append_that_does_not_follow_on_its_log(
    prev_index: int, prev_term: int, hint: tuple[int, int]
) -> None:
    solo = Solo(make_core(terms=(1, 2)))
    answer = solo.step(append(prev_index, prev_term, 9)).only(AppendResponse)
    assert answer == AppendResponse(1, 2, 9, 9, prev_index, True, *hint)
    assert terms_of(solo.core.replica.log) == [1, 2]


@pytest.mark.parametrize(
    ("request_", "expected", "index"),
    [
        (append(2, 2, 3), [1, 2, 3], 3),
        (append(1, 1, 3, 4), [1, 3, 4], 3),
        (append(0, 0, 1), [1, 2], 1),
        (append(0, 0, 3), [3], 1),
        (append(0, 0, 1, 2), [1, 2], 2),
        (append(0, 0), [1, 2], 0),
        (append(1, 1, 2, 9), [1, 2, 9], 3),
    ],
)
def test_a_follower_truncates_only_from_the_first_conflict(
    request_: AppendRequest, expected: list[int], index: int
) -> None:
    solo = Solo(make_core(terms=(1, 2)))
    said = solo.step(request_)
    assert said.only(AppendResponse) == ack(1, index)._replace(target=2)
    assert terms_of(solo.core.replica.log) == expected


def test_a_stale_append_takes_nothing_away() -> None:
    solo = Solo(make_core())
    solo.step(append(0, 0, 9, 9, 9))
    stale = solo.step(append(0, 0, 9))
    assert stale.only(AppendResponse).index == 1
    empty = solo.step(append(2, 9))
    assert empty.only(AppendResponse).index == 2
    assert terms_of(solo.core.replica.log) == [9, 9, 9]
    assert not stale.entries and not empty.entries, "nothing is written again"


def test_an_append_before_the_commit_index_is_acknowledged_up_to_it() -> None:
    solo = Solo(make_core())
    solo.step(append(0, 0, 9, 9, 9, commit=2))
    answer = solo.step(append(1, 9, 9, 9, 9)).only(AppendResponse)
    assert (answer.index, answer.rejected) == (2, False)


def test_a_conflict_below_the_commit_index_stops_the_process() -> None:
    solo = Solo(make_core())
    solo.step(append(0, 0, 8, 8, commit=1, term=8))
    solo.core.replica.commit_to(2)
    with pytest.raises(AssertionError, match="2 is committed"):
        solo.core.replica._truncate_from(2)


def test_what_a_truncation_replaces_is_saved_as_one_write_with_the_term() -> None:
    solo = Solo(make_core(terms=(1, 2, 2)))
    said = solo.step(append(1, 1, 9, 9, commit=3))
    assert said.hard_states == [HardState(9, 0, 3)]
    assert [(e.index, e.term) for e in said.entries] == [(2, 9), (3, 9)]
    assert said.entries == list(said.decided[0].committed[1:])


@pytest.mark.parametrize(
    ("prev", "new", "leader_commit", "commit"),
    [(3, 0, 3, 3), (3, 0, 9, 3), (3, 1, 4, 4), (3, 1, 9, 4), (2, 0, 3, 2), (2, 0, 9, 2)],
)
def test_a_follower_commits_only_what_the_message_proves(
    prev: int, new: int, leader_commit: int, commit: int
) -> None:
    solo = Solo(make_core(terms=(1, 1, 1)))
    solo.step(append(prev, 1, *[9] * new, commit=leader_commit))
    assert solo.core.replica.commit == commit


def test_a_heartbeat_moves_the_commit_index_up_and_never_down() -> None:
    solo = Solo(make_core())
    solo.step(append(0, 0, 9, 9, 9))
    for commit, expected in ((2, 2), (1, 2), (0, 2), (3, 3)):
        solo.step(Heartbeat(2, 1, 9, 9, commit, 3, 0, 0, True))
        assert solo.core.replica.commit == expected


# --- a leader's view of its peers ---


def test_a_new_leader_sends_everybody_the_entry_that_opens_its_term() -> None:
    solo = Solo(make_core(terms=(1, 1), hard_state=HardState(8, 0, 0)))
    solo.tick()
    solo.step(VoteResponse(2, 1, 9, True, True))
    said = solo.step(VoteResponse(2, 1, 9, False, True))
    for request in said.all(AppendRequest):
        assert (request.prev_index, request.prev_term) == (2, 1)
        assert [(e.index, e.term, e.command) for e in request.entries] == [(3, 9, b"")]
    assert [request.target for request in said.all(AppendRequest)] == [2, 3]


def test_a_peer_is_probed_with_one_append_until_it_answers() -> None:
    solo = leader()
    assert not solo.propose(b"a").all(AppendRequest)
    assert not solo.propose(b"b").all(AppendRequest)
    said = solo.step(ack(2, 1))
    (request,) = said.all(AppendRequest)
    assert (request.target, request.prev_index, len(request.entries)) == (2, 1, 2)


def test_a_peer_that_matches_is_sent_entries_without_waiting() -> None:
    solo = leader()
    solo.step(ack(2, 1))
    sent = [solo.propose(command).only(AppendRequest) for command in (b"a", b"b", b"c")]
    assert [request.prev_index for request in sent] == [1, 2, 3]
    assert all(len(request.entries) == 1 for request in sent)


def test_a_burst_of_proposals_makes_one_append_a_peer() -> None:
    solo = leader()
    solo.step(ack(2, 1))
    request = solo.propose(b"a", b"b", b"c").only(AppendRequest)
    assert [each.command for each in request.entries] == [b"a", b"b", b"c"]


def test_appends_under_way_are_limited_in_number() -> None:
    solo = leader()
    solo.step(ack(2, 1))
    sent = sum(len(solo.propose(b"x").all(AppendRequest)) for _ in range(INFLIGHT_APPENDS_MAX + 9))
    assert sent == INFLIGHT_APPENDS_MAX
    assert len(solo.step(ack(2, 2)).all(AppendRequest)) == 1, "one was answered, one may follow"


def test_appends_under_way_are_limited_in_bytes_and_each_append_too() -> None:
    solo = leader()
    solo.step(ack(2, 1))
    big = bytes(600_000)
    sent = solo.propose(*[big] * 40).all(AppendRequest)
    assert all(sum(len(e.command) for e in r.entries) <= APPEND_BYTES_MAX for r in sent)
    assert 16 * 2**20 <= sum(len(r.entries) for r in sent) * len(big) < 17 * 2**20


def test_an_entry_larger_than_an_append_may_be_goes_alone() -> None:
    solo = leader()
    solo.step(ack(2, 1))
    sent = solo.propose(b"small", bytes(APPEND_BYTES_MAX + 1), b"small").all(AppendRequest)
    assert [len(request.entries) for request in sent] == [1, 1, 1]


def test_an_acknowledgement_of_another_stream_is_dropped() -> None:
    solo = leader()
    solo.step(ack(2, 1, stream=8))
    assert solo.core.replica.commit == 0
    assert not solo.propose(b"a").all(AppendRequest), "the peer is still being probed"
    solo.step(ack(2, 1))
    assert solo.core.replica.commit == 1


def test_an_acknowledgement_of_a_stranger_is_dropped() -> None:
    solo = leader()
    assert not solo.step(ack(7, 1)).said
    assert solo.core.replica.commit == 0


def test_a_stale_rejection_is_ignored() -> None:
    solo = leader()
    solo.step(ack(2, 1))
    solo.propose(b"a")
    solo.step(ack(2, 2))
    assert not solo.step(AppendResponse(2, 1, 9, 9, 1, True, 0, 0)).all(AppendRequest)
    assert len(solo.propose(b"b").all(AppendRequest)) == 1


def test_a_rejection_makes_a_streamed_peer_be_probed_from_where_it_matches() -> None:
    solo = leader()
    solo.step(ack(2, 1))
    solo.propose(b"a")
    solo.propose(b"b")
    said = solo.step(AppendResponse(2, 1, 9, 9, 2, True, 1, 9))
    (request,) = said.all(AppendRequest)
    assert (request.prev_index, len(request.entries)) == (1, 2)
    assert not solo.propose(b"c").all(AppendRequest)


# Raft figure 7: the leader of term 8, and followers that miss, or have too many, entries.
LEADER_LOG = (1, 1, 1, 4, 4, 5, 5, 6, 6, 6)


@pytest.mark.parametrize(
    "log",
    [
        (1, 1, 1, 4, 4, 5, 5, 6, 6),
        (1, 1, 1, 4),
        (1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6),
        (1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7),
        (1, 1, 1, 4, 4, 4, 4),
        (1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3),
        (),
    ],
)
def test_a_leader_brings_every_kind_of_follower_log_to_match_its_own(log: tuple[int, ...]) -> None:
    cluster = Cluster()
    load(cluster, [LEADER_LOG, log, LEADER_LOG], terms=(7, 7, 7))
    cluster.cut(1, 2)
    cluster.elect(1)
    cluster.heal()
    cluster.run(2 * HEARTBEAT_MS)
    assert cluster.terms(2) == [*LEADER_LOG, 8]
    assert cluster.saved_terms(2) == [*LEADER_LOG, 8]
    assert cluster.committed[2] == cluster.committed[1]


def test_backing_off_takes_a_message_a_term_and_not_a_message_an_entry() -> None:
    cluster = Cluster()
    load(cluster, [[1] + [4] * 500, [1] + [2] * 300 + [3] * 300, [1] + [4] * 500])
    cluster.elect(1)
    rejections = [m for m in cluster.log if isinstance(m, AppendResponse) and m.rejected]
    assert 1 <= len(rejections) <= 3
    assert cluster.terms(2) == cluster.terms(1)


# --- what is lost comes again ---


def lose_next(cluster: Cluster, kind: type[Message], target: int) -> None:
    """Drop the next message of a kind to a member."""
    waiting = [True]

    def drop(message: Message) -> bool:
        if waiting and isinstance(message, kind) and message.target == target:
            return bool(waiting.pop())
        return False

    cluster.drop = drop


def test_a_lost_append_is_noticed_by_the_next_heartbeat() -> None:
    cluster = Cluster()
    cluster.elect(1)
    lose_next(cluster, AppendRequest, 3)
    cluster.propose(1, b"lost on the way to 3")
    assert len(cluster.terms(3)) == 1
    cluster.run(2 * HEARTBEAT_MS)
    assert cluster.commands(3) == [b"lost on the way to 3"]


def test_a_lost_first_probe_is_repeated_after_a_heartbeat() -> None:
    cluster = Cluster()
    lose_next(cluster, AppendRequest, 3)
    cluster.elect(1)
    assert cluster.terms(3) == []
    cluster.run(2 * HEARTBEAT_MS)
    assert cluster.terms(3) == [1]


def test_a_lost_acknowledgement_is_noticed_by_the_next_heartbeat() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.crash(2)
    lose_next(cluster, AppendResponse, 1)
    cluster.propose(1, b"only 3 can commit this")
    assert cluster.commands(1) == []
    cluster.run(2 * HEARTBEAT_MS)
    assert cluster.commands(1) == [b"only 3 can commit this"]


def test_a_full_window_whose_acknowledgements_are_all_lost_is_freed_by_a_heartbeat() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.crash(2)
    cluster.drop = lambda message: isinstance(message, AppendResponse)
    for _ in range(INFLIGHT_APPENDS_MAX + 5):
        cluster.propose(1, b"x")
    assert cluster.commands(1) == []
    cluster.heal()
    cluster.run(4 * HEARTBEAT_MS)
    assert len(cluster.commands(1)) == INFLIGHT_APPENDS_MAX + 5
    assert cluster.commands(3) == cluster.commands(1)


def test_appends_in_reverse_order_end_in_the_same_log() -> None:
    cluster = Cluster()
    cluster.elect(1)
    for command in (b"a", b"b", b"c"):
        cluster.submit(1, command)
    cluster.flying.reverse()
    cluster.settle()
    cluster.run(2 * HEARTBEAT_MS)
    assert cluster.commands(2) == cluster.commands(3) == [b"a", b"b", b"c"]


def test_messages_that_arrive_twice_do_no_harm() -> None:
    cluster = Cluster()
    cluster.elect(1)
    for number in range(5):
        cluster.submit(1, b"%d" % number)
        cluster.flying.extend(tuple(cluster.flying))
        cluster.settle()
    cluster.run(HEARTBEAT_MS)
    assert cluster.commands(2) == [b"0", b"1", b"2", b"3", b"4"]


# --- heartbeats ---


def test_a_leader_sends_heartbeats_at_its_interval() -> None:
    solo = leader()
    for _ in range(3):
        before_ms = solo.now_ms
        said = solo.tick()
        assert [beat.target for beat in said.all(Heartbeat)] == [2, 3]
        assert solo.now_ms - before_ms in (0, HEARTBEAT_MS)


def test_a_heartbeat_never_tells_a_commit_index_beyond_what_its_peer_holds() -> None:
    solo = leader(members=5)
    solo.step(ack(2, 1), ack(3, 1))
    assert solo.core.replica.commit == 1
    solo.now_ms += HEARTBEAT_MS
    beats = {beat.target: beat.commit for beat in solo.tick().all(Heartbeat)}
    assert beats == {2: 1, 3: 1, 4: 0, 5: 0}


def test_a_follower_learns_of_a_commit_without_waiting_for_a_heartbeat() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.propose(1, b"a")
    cluster.run(COMMIT_NOTICE_MS)
    assert cluster.commands(2) == cluster.commands(3) == [b"a"]


def test_a_follower_whose_client_waits_learns_of_the_commit_at_once() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.propose(2, b"a")
    assert cluster.commands(2) == [b"a"]


def test_nothing_is_due_once_the_next_append_has_told_all_peers_of_the_commit() -> None:
    solo = leader()
    solo.tick()
    heartbeat_due_ms = solo.core.next_tick_ms
    solo.step(ack(2, 1), ack(3, 1))
    assert solo.core.next_tick_ms == solo.now_ms + COMMIT_NOTICE_MS
    solo.propose(b"a")
    assert solo.core.next_tick_ms == heartbeat_due_ms


def test_nothing_is_due_once_heartbeats_have_told_all_peers_of_the_commit() -> None:
    solo = leader()
    solo.tick()
    solo.now_ms = solo.core.next_tick_ms
    solo.step(ack(2, 1), ack(3, 1))
    said = solo.tick()
    assert [beat.commit for beat in said.all(Heartbeat)] == [1, 1]
    assert solo.core.next_tick_ms == solo.now_ms + HEARTBEAT_MS


def test_the_notice_of_a_commit_stays_due_while_a_peer_has_not_been_told() -> None:
    solo = leader()
    solo.tick()
    heartbeat_due_ms = solo.core.next_tick_ms
    solo.step(ack(2, 1))
    solo.propose(b"a")
    assert solo.core.next_tick_ms == solo.now_ms + COMMIT_NOTICE_MS, "member 3 has not answered"
    solo.step(ack(3, 1))
    assert solo.core.next_tick_ms == heartbeat_due_ms


def test_a_leader_that_is_alone_has_nobody_to_tell_of_a_commit() -> None:
    solo = leader(members=1)
    solo.tick()
    assert solo.core.replica.commit == 1
    assert solo.core.next_tick_ms == solo.now_ms + HEARTBEAT_MS


def test_a_heartbeat_answer_names_the_end_of_the_log_and_repeats_the_round() -> None:
    solo = Solo(make_core(terms=(1, 1)))
    said = solo.step(Heartbeat(2, 1, 9, 9, 0, 5, 77, 0, True))
    assert said.only(HeartbeatResponse) == HeartbeatResponse(1, 2, 9, 9, 5, 2, 77)
    assert not solo.step(Heartbeat(2, 1, 9, 9, 0, 5, 77, 0, False)).said


def test_a_follower_that_was_down_for_long_catches_up() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.crash(3)
    for number in range(300):
        cluster.propose(1, b"%d" % number)
    cluster.restart(3)
    cluster.run(3 * HEARTBEAT_MS)
    assert cluster.commands(3) == cluster.commands(1)


def test_a_broken_connection_makes_the_leader_send_again_what_was_not_acknowledged() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.cut(1, 3)
    cluster.propose(1, b"a")
    cluster.heal()
    cluster.cores[1].peer_down(3, cluster.now_ms)
    cluster.flush(1)
    cluster.settle()
    assert cluster.commands(3) == [b"a"]


def test_entries_keep_the_order_and_the_tickets_of_their_proposals() -> None:
    cluster = Cluster()
    cluster.elect(1)
    tickets = cluster.propose(1, b"a", b"b")
    cluster.run(HEARTBEAT_MS)
    assert [(e.origin, e.ticket) for e in cluster.committed[2][1:]] == [(1, t) for t in tickets]


def test_a_large_backlog_is_handed_out_in_parts() -> None:
    cluster = Cluster(1)
    cluster.elect(1)
    cluster.propose(1, *[bytes(3 * 2**20)] * 5)
    assert len(cluster.commands(1)) == 5
    cluster.crash(1)
    cluster.restart(1)
    cluster.run(2 * ELECTION_MS)
    assert len(cluster.commands(1)) == 5


def test_an_entry_below_the_compacted_prefix_counts_as_matching() -> None:
    core = make_core(terms=(1, 1, 2))
    core.replica.log.compact(2)
    assert core.replica.log.first_conflict([entry(1, 1), entry(2, 1), entry(3, 2)]) is None
