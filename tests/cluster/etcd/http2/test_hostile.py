"""Peers that mean harm: each case shows a limit, the code of the answer, and bounded memory."""

from __future__ import annotations

import tracemalloc
from typing import Final

import pytest
from hpack import Encoder
from hyperframe.frame import Frame

from cluster.etcd.http2 import LIMITS, Http2Stream, Memory, codes
from cluster.etcd.http2.limits import (
    ANSWER_BYTES_MAX,
    BLOCK_FREE_BYTES,
    CONTROL_BYTES_MAX,
    FLOOD_WINDOW_MS,
    FRAME_BYTES_MAX,
    HEADER_LIST_BYTES_MAX,
    KIB,
    MIB,
    NUISANCES_MAX,
    OVERSIZED_NUISANCES,
    QUEUED_SMALL_BYTES,
    RESETS_REMEMBERED_MAX,
    SHARE_BYTES,
)
from tests.cluster.etcd.http2.judge import RESPONSE, RESPONSE_BLOCK, TRAILERS_BLOCK
from tests.cluster.etcd.http2.raw import (
    FIELDS,
    PREFACE,
    Peer,
    block,
    continuation,
    data,
    frame,
    headers,
    ping,
    request,
    rst_stream,
    settings,
    verdict,
    window_update,
)

CALM: Final = codes.ENHANCE_YOUR_CALM
TIGHT: Final = LIMITS._replace(nuisances=100, resets=50)


def ends_calmly(peer: Peer, sent: list[Frame]) -> bool:
    """Whether the connection has ended with ENHANCE_YOUR_CALM, and its streams with it."""
    ended = verdict(sent)[-1:]
    return [(kind, code) for kind, _, code in ended] == [("connection", CALM)] and not peer.is_open


# --- header blocks ------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [b"", b"\0\1a\1b" * 100], ids=["empty", "full"])
def test_a_header_block_without_end_is_cut_off(part: bytes) -> None:
    peer = Peer()
    first = frame(1, 0, 1, block())
    assert ends_calmly(peer, peer.send(first, *[continuation(1, part)] * 100))


def test_a_block_that_unpacks_to_megabytes_is_refused_with_its_stream() -> None:
    peer = Peer()
    encoder = Encoder()
    encoder.encode([("x", "y" * 3_000)])
    bomb = encoder.encode([*FIELDS, *[("x", "y" * 3_000)] * 10])
    assert len(bomb) < 200
    first = frame(1, 5, 1, Encoder().encode([("x", "y" * 3_000)]))  # puts it into the table
    assert verdict(peer.send(first)) == [("stream", 1, codes.PROTOCOL_ERROR)]
    assert verdict(peer.send(frame(1, 5, 3, bomb))) == [("stream", 3, CALM)]
    assert peer.handler.requests == []
    assert verdict(peer.send(request(5))) == []  # the table is still understood
    assert len(peer.handler.requests) == 1


def test_a_block_that_unpacks_to_far_too_much_ends_the_connection() -> None:
    peer = Peer()
    entry = Encoder().encode([("x", "y" * 3_000)])
    peer.send(frame(1, 5, 1, entry))
    tracemalloc.start()
    sent = peer.send(frame(1, 5, 3, block() + b"\xbe" * 16_000))  # 48 MB of that one field
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert ends_calmly(peer, sent)
    assert peak < MIB


def test_a_list_of_many_small_fields_counts_what_they_cost() -> None:
    peer = Peer()
    many = [("a", "")] * (HEADER_LIST_BYTES_MAX // 33 + 1)
    assert verdict(peer.send(request(1, [*FIELDS, *many]))) == [("stream", 1, CALM)]


def test_a_table_larger_than_was_offered_ends_the_connection() -> None:
    peer = Peer()
    sent = peer.send(frame(1, 5, 1, b"\x3f\xe2\x1f" + block()))  # 4,097
    assert verdict(sent) == [("connection", 1, codes.COMPRESSION_ERROR)]


def test_lists_that_are_too_long_are_not_read_for_ever() -> None:
    peer = Peer()
    long = block([*FIELDS, *[(f"a{number}", "") for number in range(600)]])
    sent = peer.send(*[frame(1, 5, number, long) for number in range(1, 401, 2)])
    assert ends_calmly(peer, sent)
    assert len(verdict(sent)) <= NUISANCES_MAX // OVERSIZED_NUISANCES + 1


def test_long_strings_are_not_unpacked_for_ever() -> None:
    peer = Peer()
    peer.handler.answers = False
    long = block([*FIELDS, ("a", "a" * 15_000)])
    assert BLOCK_FREE_BYTES < len(long) < FRAME_BYTES_MAX
    assert ends_calmly(peer, peer.send(*[frame(1, 5, number, long) for number in range(1, 401, 2)]))
    assert 20 < len(peer.handler.requests) < 60


def test_a_token_of_a_thousand_bytes_may_come_with_each_request() -> None:
    peer = Peer()
    token = block([*FIELDS, ("authorization", "t" * 1_000)])
    for number in range(1, 2_001, 2):
        peer.server.receive(frame(1, 5, number, token), 0)
    assert peer.is_open


# --- floods ---------------------------------------------------------------------------------------

NUISANCES: Final = {
    "pings": ping(),
    "settings": settings(),
    "settings acknowledged": frame(4, 1, 0),
    "windows": window_update(0, 1),
    "windows of closed streams": window_update(1, 1),
    "resets of closed streams": rst_stream(1),
    "priorities": frame(2, 0, 1, bytes(5)),
    "empty data": data(3),
    "padded data": frame(0, 8, 3, b"\0"),
    "unknown frames": frame(99, 0, 0),
    "goaways": frame(7, 0, 0, bytes(8)),
}


@pytest.mark.parametrize("what", NUISANCES)
def test_frames_that_ask_for_nothing_are_counted(what: str) -> None:
    peer = Peer(TIGHT)
    peer.send(request(1), headers(3))
    assert not ends_calmly(peer, peer.send(*[NUISANCES[what]] * 90))
    assert ends_calmly(peer, peer.send(*[NUISANCES[what]] * 20))
    assert peer.handler.resets == [(3, CALM)]


@pytest.mark.parametrize("what", NUISANCES)
def test_the_same_frames_in_more_time_are_no_flood(what: str) -> None:
    peer = Peer(TIGHT)
    peer.send(request(1), headers(3))
    for _ in range(10):
        peer.send(*[NUISANCES[what]] * 90)
        peer.now_ms += FLOOD_WINDOW_MS
    assert peer.is_open


def test_data_that_comes_late_is_counted() -> None:
    peer = Peer(TIGHT)
    peer.send(headers(1))
    peer.server.reset(peer.handler.requests[0], codes.CANCEL)
    assert ends_calmly(peer, peer.send(*[data(1, b"late")] * 110))


def test_answers_excuse_the_pings_of_a_busy_client() -> None:
    peer = Peer(TIGHT)
    for number in range(1, 1_001, 2):
        peer.send(headers(number), data(number, b"x", "END_STREAM"), ping(), window_update(0, 1))
    assert peer.is_open


def test_data_excuses_the_windows_that_open_for_it() -> None:
    peer = Peer(TIGHT)
    peer.handler.answers = False
    peer.send(request(1))
    stream = peer.handler.requests[0]
    peer.server.respond(stream, RESPONSE)
    for _ in range(200):
        peer.server.send(stream, bytes(2_000))
        peer.send(window_update(0, 2_000), window_update(1, 2_000))
    assert peer.is_open


def test_windows_that_open_byte_by_byte_are_excused_by_nothing() -> None:
    peer = Peer(TIGHT, values={4: 0})
    peer.handler.answers = False
    peer.send(request(1))
    peer.server.unary(peer.handler.requests[0], RESPONSE_BLOCK, bytes(2_000), TRAILERS_BLOCK)
    sent = [each for _ in range(110) for each in peer.send(window_update(1, 1))]
    assert ends_calmly(peer, sent)


def test_settings_that_change_many_windows_cost_more_than_others() -> None:
    peer = Peer(TIGHT)
    peer.handler.answers = False
    peer.send(*[request(number) for number in range(1, 4_001, 2)])
    changes = [settings({4: 70_000 + at % 2}) for at in range(10)]
    assert ends_calmly(peer, peer.send(*changes))


def test_requests_that_are_reset_at_once_are_counted() -> None:  # CVE-2023-44487
    peer = Peer(TIGHT)
    peer.handler.answers = False
    sent = [part for number in range(1, 201, 2) for part in (headers(number), rst_stream(number))]
    assert ends_calmly(peer, peer.send(*sent))
    assert len(peer.handler.requests) == TIGHT.resets + 1


MADE_RESETS: Final = {
    "an empty window": [frame(8, 0, 0, bytes(4))],
    "a full window": [window_update(0, 0x7FFF_FFFF)],
    "data behind the end": [data(0x7FFF_FFFF, b"x", "END_STREAM"), data(0x7FFF_FFFF, b"x")],
    "a malformed priority": [frame(2, 0, 0, b"")],
    "trailers that end nothing": [headers(0x7FFF_FFFF)],
}


def of_stream(sent: bytes, number: int) -> bytes:
    """The frame, on another stream."""
    return sent[:5] + number.to_bytes(4, "big") + sent[9:]


@pytest.mark.parametrize("what", MADE_RESETS)
def test_resets_that_a_peer_brings_about_are_counted(what: str) -> None:  # CVE-2025-8671
    peer = Peer(TIGHT)
    peer.handler.answers = False
    sent = []
    for number in range(1, 201, 2):
        sent += [headers(number), *[of_stream(each, number) for each in MADE_RESETS[what]]]
    assert ends_calmly(peer, peer.send(*sent))
    assert len(peer.handler.requests) == TIGHT.resets + 1


def test_cancelled_watches_are_no_flood_of_resets() -> None:
    peer = Peer(LIMITS._replace(resets=50))
    peer.handler.answers = False
    for number in range(1, 401, 2):
        peer.send(headers(number))
        peer.server.respond(peer.handler.requests[-1], RESPONSE)
        peer.send(rst_stream(number))
    assert peer.is_open


def test_the_streams_that_were_reset_are_remembered_only_so_far() -> None:
    peer = Peer(LIMITS._replace(resets=10**9, nuisances=10**9))
    last = RESETS_REMEMBERED_MAX * 8
    for number in range(1, last, 2):
        peer.send(headers(number), frame(8, 0, number, bytes(4)))
    memory = peer.server._streams._reset_here
    assert len(memory) == RESETS_REMEMBERED_MAX
    assert peer.send(data(1, b"late"), data(last - 1, b"late")) == []
    assert peer.is_open


# --- work and memory ------------------------------------------------------------------------------


def test_unanswered_requests_over_the_limit_are_refused_and_may_come_again() -> None:
    peer = Peer(LIMITS._replace(unanswered_streams=3))
    peer.handler.answers = False
    sent = peer.send(*[request(number) for number in (1, 3, 5, 7, 9)])
    refused = [("stream", 7, codes.REFUSED_STREAM), ("stream", 9, codes.REFUSED_STREAM)]
    assert verdict(sent) == refused
    peer.server.unary(peer.handler.requests[0], RESPONSE_BLOCK, b"answer", TRAILERS_BLOCK)
    assert verdict(peer.send(request(11))) == []
    assert [stream.id for stream in peer.handler.requests] == [1, 3, 5, 11]


def test_streams_over_the_limit_are_refused() -> None:
    peer = Peer(LIMITS._replace(streams=2))
    peer.handler.answers = False
    peer.send(request(1), request(3))
    for stream in peer.handler.requests:
        peer.server.respond(stream, RESPONSE)
    assert verdict(peer.send(request(5))) == [("stream", 5, codes.REFUSED_STREAM)]
    assert verdict(peer.send(rst_stream(1), request(7))) == []


def test_a_request_that_holds_too_much_is_reset() -> None:
    peer = Peer(LIMITS._replace(request_bytes=100 * KIB))
    peer.handler.answers = False
    sent = peer.send(headers(1), *[data(1, bytes(16_000))] * 7)
    assert verdict(sent) == [("stream", 1, CALM)]
    assert peer.handler.resets == [(1, CALM)]
    assert peer.server._load.bytes == 0


def test_requests_that_hold_too_much_together_are_reset() -> None:
    peer = Peer(LIMITS._replace(held_bytes=100 * KIB))
    peer.handler.answers = False
    for number in range(1, 15, 2):
        peer.send(headers(number), data(number, bytes(16_000)))
    assert peer.handler.resets == [(13, CALM)]


def test_a_request_that_has_ended_holds_no_memory_here() -> None:
    peer = Peer(LIMITS._replace(held_bytes=100 * KIB))
    peer.handler.answers = False
    for number in range(1, 41, 2):
        peer.send(headers(number), data(number, bytes(16_000)), data(number, b"x", "END_STREAM"))
    assert peer.handler.resets == []


def test_messages_that_were_consumed_hold_nothing() -> None:
    peer = Peer(LIMITS._replace(request_bytes=100 * KIB))
    peer.handler.answers = False
    peer.send(headers(1))
    stream = peer.handler.requests[0]
    for _ in range(100):
        peer.send(data(1, bytes(16_000)))
        peer.server.consumed(stream, 16_000)
    assert stream.is_open
    assert stream.held == 0


def test_a_stream_that_is_not_consumed_gets_no_window() -> None:
    peer = Peer()
    peer.handler.answers = False
    peer.send(headers(1))
    stream = peer.handler.requests[0]
    stream.auto = False
    parts = [data(1, bytes(16_000))] * 60
    streams = {each.stream_id for each in peer.send(*parts)}
    assert streams <= {0}
    peer.server.consumed(stream, 960_000)
    (update,) = peer.read()
    assert (update.stream_id, update.window_increment) == (1, 960_000)  # type: ignore[attr-defined]


def test_control_frames_that_are_not_read_end_the_connection() -> None:
    peer = Peer(LIMITS._replace(nuisances=10**9))
    for _ in range(CONTROL_BYTES_MAX // 17 + 1):
        peer.server.receive(ping(), 0)
    assert not peer.is_open
    assert peer.server._load.bytes < CONTROL_BYTES_MAX + KIB
    assert ends_calmly(peer, peer.read())


def waiting(peer: Peer, number: int) -> Http2Stream:
    """A request that waits for its answer."""
    peer.send(request(number))
    return peer.handler.requests[-1]


def test_answers_that_are_not_read_are_bounded() -> None:
    peer = Peer(LIMITS._replace(queued_bytes=MIB), values={4: 0})
    peer.handler.answers = False
    for number in range(1, 21, 2):
        stream = waiting(peer, number)
        peer.server.unary(stream, RESPONSE_BLOCK, bytes(300 * KIB), TRAILERS_BLOCK)
    assert peer.handler.resets == [(number, CALM) for number in range(9, 21, 2)]
    assert peer.server._load.bytes < MIB + 301 * KIB
    small = waiting(peer, 21)
    peer.server.unary(small, RESPONSE_BLOCK, b"small", TRAILERS_BLOCK)
    assert small.is_open  # large answers do not push out small ones


def test_small_requests_are_served_while_large_answers_wait() -> None:
    peer = Peer(values={4: 0})
    peer.handler.answers = False
    large = bytes(ANSWER_BYTES_MAX)
    for number in (1, 3):
        assert not peer.server.is_clogged
        peer.server.unary(waiting(peer, number), RESPONSE_BLOCK, large, TRAILERS_BLOCK)
    assert peer.server.is_clogged
    small = waiting(peer, 5)
    peer.server.unary(small, RESPONSE_BLOCK, b"small", TRAILERS_BLOCK)
    sent = peer.send(window_update(5, 5))
    assert [each.stream_id for each in sent if "END_STREAM" in each.flags] == [5]


def test_small_answers_that_are_not_read_are_bounded_too() -> None:
    peer = Peer(LIMITS._replace(queued_bytes=0), values={4: 0})
    peer.handler.answers = False
    stream = waiting(peer, 1)
    peer.server.respond(stream, RESPONSE)
    part = bytes(16_000)
    for _ in range(QUEUED_SMALL_BYTES // len(part) + 2):
        peer.server.send(stream, part)
    assert not stream.is_open
    assert peer.server._load.bytes < KIB


def test_one_answer_larger_than_the_limit_may_be_sent() -> None:
    peer = Peer(LIMITS._replace(queued_bytes=MIB), values={4: 0x7FFF_FFFF})
    peer.send(window_update(0, 0x7FFF_FFFF - 65_535))
    peer.handler.answers = False
    peer.server.unary(waiting(peer, 1), RESPONSE_BLOCK, bytes(3 * MIB), TRAILERS_BLOCK)
    assert sum(each.body_len for each in peer.read()) > 3 * MIB


def test_a_long_answer_in_parts_waits_whole_or_not_at_all() -> None:
    peer = Peer(LIMITS._replace(queued_bytes=MIB), values={4: 0})
    peer.handler.answers = False
    parts = [bytes(300 * KIB)] * 4
    for number in (1, 3):
        stream = waiting(peer, number)
        peer.server.unary_in_parts(stream, RESPONSE_BLOCK, parts, TRAILERS_BLOCK)
    assert peer.handler.resets == [(3, CALM)]
    sent = peer.send(window_update(0, 4 * MIB), settings({4: 4 * MIB}))
    sizes = [each.body_len for each in sent if each.stream_id == 1]
    assert sum(sizes) == 1_200 * KIB + len(TRAILERS_BLOCK)


def test_when_memory_is_short_those_who_hold_it_are_refused() -> None:
    memory = Memory(bytes_max=4 * MIB)
    limits = LIMITS._replace(queued_bytes=8 * MIB)
    greedy, modest = (Peer(limits, memory, {4: 0}) for _ in range(2))
    for peer in (greedy, modest):
        peer.handler.answers = False
    for number in (1, 3, 5, 7):
        stream = waiting(greedy, number)
        greedy.server.unary(stream, RESPONSE_BLOCK, bytes(MIB), TRAILERS_BLOCK)
        greedy.read()
    assert 4 * MIB < memory.used < 6 * MIB
    assert verdict(greedy.send(request(31))) == [("stream", 31, codes.REFUSED_STREAM)]
    stream = waiting(modest, 1)
    modest.server.unary(stream, RESPONSE_BLOCK, bytes(SHARE_BYTES - 8 * KIB), TRAILERS_BLOCK)
    assert stream.is_open
    greedy.server.lose()
    modest.server.lose()
    assert memory.used == 0


def test_when_memory_is_short_those_who_read_get_their_answers() -> None:
    memory = Memory(bytes_max=4 * MIB)
    limits = LIMITS._replace(queued_bytes=8 * MIB)
    greedy, watching = (Peer(limits, memory) for _ in range(2))
    greedy.handler.answers = watching.handler.answers = False
    watching.send(*[request(number) for number in range(1, 1_001, 2)])
    assert not greedy.server.is_clogged
    greedy.server.keep(5 * MIB)
    assert greedy.server.is_clogged
    assert watching.server._load.bytes > memory.share_bytes
    assert not watching.server.is_clogged
    greedy.server.keep(-5 * MIB)
    assert not greedy.server.is_clogged
    watching.server.lose()
    assert memory.used == 0


def test_a_flood_of_streams_counts_against_memory() -> None:
    memory = Memory(bytes_max=MIB, share_bytes=64 * KIB)
    peer = Peer(LIMITS._replace(queued_bytes=0, resets=10**9), memory)
    peer.handler.answers = False
    for number in range(1, 2_001, 2):
        peer.send(headers(number))
    assert 300 < len(peer.handler.requests) < 600
    assert memory.used < 2 * MIB


# --- time -----------------------------------------------------------------------------------------


def test_a_peer_that_never_finishes_its_preface_is_closed() -> None:
    peer = Peer(opens=False)
    peer.send(PREFACE[:20])
    assert peer.server.next_tick_ms == LIMITS.preface_timeout_ms
    peer.server.tick(LIMITS.preface_timeout_ms - 1)
    assert peer.is_open
    peer.server.tick(LIMITS.preface_timeout_ms)
    assert not peer.is_open


def test_a_silent_peer_is_pinged_and_then_given_up() -> None:
    peer = Peer()
    stream = waiting(peer, 1)
    assert not stream.is_open
    due = peer.server.next_tick_ms
    assert due == LIMITS.keepalive_interval_ms
    peer.server.tick(due)
    (pinged,) = peer.read()
    peer.now_ms = due + 1
    peer.send(frame(6, 1, 0, pinged.opaque_data))  # type: ignore[attr-defined]
    due = peer.server.next_tick_ms
    assert due == peer.now_ms + LIMITS.keepalive_interval_ms
    peer.server.tick(due)
    due += LIMITS.keepalive_timeout_ms
    assert peer.server.next_tick_ms == due
    peer.server.tick(due)
    assert not peer.is_open


# --- whatever comes -------------------------------------------------------------------------------


NONSENSE: Final = [
    [frame(kind, 0xFF, 1, bytes(size)) for kind in range(12) for size in (0, 4, 8, 200)],
    [bytes(100)],
    [b"\xff" * 1_000],
    [frame(4, 0, 0, bytes(16_380))] * 10,
    [frame(0, 0, 0x7FFF_FFFF, bytes(16_384))],
]


@pytest.mark.parametrize("sent", NONSENSE)
def test_what_has_no_sense_ends_the_connection_once(sent: list[bytes]) -> None:
    peer = Peer()
    found = [each for part in sent for each in verdict(peer.send(part)) if each[0] == "connection"]
    assert len(found) == (0 if peer.is_open else 1)
    peer.server.receive(ping(), 0)
    if not peer.is_open:
        assert peer.read() == []
        assert peer.server.streams == 0
