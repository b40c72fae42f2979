"""The way of one put: how it is put together from notes, and a short run of real nodes."""

from __future__ import annotations

import os

import pytest

from actors.language.entries import Entry
from actors.raft.codec import PeerCodec
from actors.raft.rpc import AppendRequest, AppendResponse, Heartbeat
from tests.bench import marking
from tests.bench.marking import Notebook, Notes, Spans
from tests.bench.timeline import (
    ROWS,
    SENT,
    Cost,
    Sent,
    cost_of,
    cost_table,
    measure_cost,
    measure_way,
    threads,
    way_of,
    way_table,
)

PUTS = 20
PUT = Sent(100_000, 900_000)


def leader_notes() -> Notes:
    """Of a leader that took the put before this one, and this one, which is entry 7."""
    times = {
        marking.CLIENT_IN: [10_000, 150_000],
        marking.SYNC_BEGINS: [20_000, 300_000],
        marking.SYNC_ENDS: [30_000, 500_000],
        marking.REPLY_OUT: [50_000, 850_000],
    }
    indexes = {
        marking.APPEND_OUT: [(6, 15_000), (7, 200_000), (7, 220_000)],
        marking.ACK_IN: [(6, 45_000), (6, 160_000), (7, 700_000), (7, 950_000)],
    }
    return Notes(times, indexes)


def follower_notes(late: int) -> Notes:
    """Of a follower that is so much later than the first."""
    times = {
        marking.SYNC_BEGINS: [25_000, 350_000 + late],
        marking.SYNC_ENDS: [35_000, 450_000 + late],
    }
    indexes = {
        marking.APPEND_IN: [(6, 18_000), (7, 320_000 + late)],
        marking.ACK_OUT: [(6, 40_000), (7, 600_000 + late)],
    }
    return Notes(times, indexes)


@pytest.mark.quick
def test_way_of_a_put_goes_by_the_follower_that_answers_first() -> None:
    way = way_of(PUT, leader_notes(), [follower_notes(90_000), follower_notes(0)])
    assert way is not None
    assert way.keys() == {SENT, *ROWS}
    from_send = [way[place] - way[SENT] for place in ROWS]
    assert [ns // 1_000 for ns in from_send] == [
        *(50, 120, 200, 400),
        *(220, 250, 350, 500),
        *(600, 750, 800),
    ]


@pytest.mark.quick
def test_every_place_has_its_line_with_the_step_from_the_place_before() -> None:
    way = way_of(PUT, leader_notes(), [follower_notes(0)])
    assert way is not None
    _, *lines = way_table([way])
    assert [line.split()[-2:] for line in lines][2:6] == [
        ["200", "80"],
        ["400", "200"],
        ["220", "100"],
        ["250", "30"],
    ]
    assert list(ROWS) == [line[:38].strip() for line in lines]


@pytest.mark.quick
@pytest.mark.parametrize("missing", [marking.CLIENT_IN, marking.SYNC_ENDS, marking.REPLY_OUT])
def test_put_that_was_not_seen_everywhere_has_no_way(missing: str) -> None:
    leader = leader_notes()
    leader.times[missing].pop()
    assert way_of(PUT, leader, [follower_notes(0)]) is None


@pytest.mark.quick
def test_frames_are_noted_by_the_last_entry_that_they_carry_or_acknowledge() -> None:
    codec, book = PeerCodec(5), Notebook()
    entries = tuple(Entry(index, 1, 0, 0, 0, b"x") for index in (8, 9))
    book.note_frame(marking.OUT, codec.encode(AppendRequest(1, 2, 1, 3, 7, 1, 7, entries)))
    book.note_frame(marking.OUT, codec.encode(AppendRequest(1, 2, 1, 3, 9, 1, 9, ())))
    book.note_frame(marking.IN, codec.encode(AppendResponse(2, 1, 1, 3, 9, False, 0, 0)))
    book.note_frame(marking.IN, codec.encode(AppendResponse(2, 1, 1, 3, 9, True, 0, 0)))
    book.note_frame(marking.IN, codec.encode(Heartbeat(2, 1, 1, 3, 9, 9, 0, 0, False)))
    book.note_frame(marking.IN, b"\x91\xc0")
    found = book.notes().indexes
    assert {kind: [index for index, _ in each] for kind, each in found.items()} == {
        marking.APPEND_OUT: [9],
        marking.ACK_IN: [9],
    }


@pytest.mark.quick
def test_cost_is_divided_by_actor_and_by_thread() -> None:
    sent = [Sent(100, 200), Sent(200, 300)]
    notes = Spans(7, [(50, "Raft", 999), (150, "Raft", 4_000), (250, "Store", 2_000)])
    before = {7: ("python", 1_000), 8: ("ZMQbg/IO/0", 0)}
    after = {7: ("python", 9_000), 8: ("ZMQbg/IO/0", 6_000), 9: ("python", 1_000)}
    assert cost_of(sent, notes, before, after).parts == {
        "Raft": 2,
        "Store": 1,
        "the loop and its looks": 1,
        "ZeroMQ's threads": 3,
        "other threads": 0.5,
    }


@pytest.mark.quick
def test_costs_are_listed_from_the_greatest_with_their_sum() -> None:
    lines = cost_table(Cost({"Store": 10, "Raft": 30}), [Cost({"Raft": 8}), Cost({"Raft": 4})])
    assert [line.split() for line in lines[1:]] == [
        ["Raft", "30", "6"],
        ["Store", "10", "0"],
        ["in", "all", "40", "6"],
    ]


@pytest.mark.quick
def test_threads_of_a_process_are_found_with_their_time() -> None:
    name, ran_ns = threads(os.getpid())[os.getpid()]
    assert name
    assert ran_ns > 0


def test_puts_are_followed_through_real_nodes() -> None:
    ways = measure_way(PUTS)
    assert len(ways) > PUTS // 2
    for way in ways:
        for place, before in ROWS.items():
            # These two do not wait for the second append.
            if place not in ("the leader's sync begins", "the first follower has the append"):
                assert way[place] >= way[before], f"{place} is before {before}"


def test_cost_of_puts_is_found_on_real_nodes() -> None:
    leader, followers = measure_cost(PUTS)
    assert len(followers) == 2
    for cost in (leader, *followers):
        assert {"Raft", "Store", "the loop and its looks"} <= cost.parts.keys()
        assert cost.parts["Raft"] > 0
    assert leader.parts["Gateway"] > 0
