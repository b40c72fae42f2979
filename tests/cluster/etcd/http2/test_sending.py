"""The order of what is sent: small before large, large ones in turns, all within the windows."""

from __future__ import annotations

import pytest
from hyperframe.frame import DataFrame, Frame, HeadersFrame, PingFrame, RstStreamFrame

from cluster.etcd.http2 import LIMITS, Http2Stream, codes
from cluster.etcd.http2.limits import FRAME_BYTES_MAX, KIB, MIB, TURN_BYTES
from tests.cluster.etcd.http2.judge import (
    RESPONSE,
    RESPONSE_BLOCK,
    TRAILERS,
    TRAILERS_BLOCK,
    Echo,
)
from tests.cluster.etcd.http2.raw import (
    Peer,
    data,
    frame,
    headers,
    parsed,
    ping,
    request,
    rst_stream,
    settings,
    verdict,
    window_update,
)

WIDE = {4: 0x7FFF_FFFF}


def opened(*numbers: int, window: int = 0x7FFF_FFFF, values: dict[int, int] | None = None) -> Peer:
    """A peer with requests under way, whose windows are wide but for what is said."""
    peer = Peer(values=WIDE if values is None else values)
    peer.handler.answers = False
    if window > 65_535:
        peer.send(window_update(0, window - 65_535))
    peer.send(*[request(number) for number in numbers])
    return peer


def stream(peer: Peer, number: int) -> Http2Stream:
    return next(each for each in peer.handler.requests if each.id == number)


def unary(peer: Peer, number: int, size: int) -> None:
    peer.server.unary(stream(peer, number), RESPONSE_BLOCK, bytes(size), TRAILERS_BLOCK)


def data_of(frames: list[Frame]) -> list[tuple[int, int]]:
    """Stream and size of the DATA frames."""
    return [(each.stream_id, len(each.data)) for each in frames if isinstance(each, DataFrame)]


def test_frames_have_at_most_16_kib_whatever_the_peer_takes() -> None:
    peer = opened(1, values={4: 0x7FFF_FFFF, 5: 1 << 20})
    unary(peer, 1, 100_000)
    assert [size for _, size in data_of(peer.read())] == [FRAME_BYTES_MAX] * 6 + [1_696]


def test_large_answers_take_turns() -> None:
    peer = opened(1, 3, 5)
    for number in (1, 3, 5):
        unary(peer, number, MIB)
    turns = [data_of(parsed(peer.server.take())) for _ in range(3)]
    assert [number for turn in turns for number, _ in turn] == [1, 3, 5] * 4


def test_a_turn_of_large_answers_is_short() -> None:
    peer = opened(1)
    unary(peer, 1, 10 * MIB)
    assert len(peer.server.take()) < TURN_BYTES + KIB


def test_a_small_answer_passes_a_large_one() -> None:
    peer = opened(1, 3)
    unary(peer, 1, 10 * MIB)
    peer.server.take()
    unary(peer, 3, 100)
    first, *_ = data_of(parsed(peer.server.take()))
    assert first == (3, 100)


def test_an_event_passes_a_large_answer_that_waits_for_the_window() -> None:
    peer = opened(1, 3, window=65_535)
    watch = stream(peer, 3)
    peer.server.respond(watch, RESPONSE)
    unary(peer, 1, MIB)
    peer.read()  # the connection's window is used up
    peer.server.send(watch, b"event")
    assert peer.read() == []
    assert data_of(peer.send(window_update(0, 20_000))) == [(3, 5), (1, 16_384), (1, 3_611)]


def test_many_small_events_leave_a_large_answer_its_turn() -> None:
    watches = range(3, 43, 2)
    peer = opened(1, *watches)
    unary(peer, 1, 10 * MIB)
    for number in watches:
        peer.server.respond(stream(peer, number), RESPONSE)
    for at in range(0, 20, 5):
        for number in watches[at : at + 5]:  # one more than a turn has room for
            peer.server.send(stream(peer, number), bytes(FRAME_BYTES_MAX))
        sent = data_of(parsed(peer.server.take()))
        assert [number for number, _ in sent].count(1) == 1
        assert len(sent) == TURN_BYTES // FRAME_BYTES_MAX + 1


def test_a_stream_that_grows_beyond_small_stands_behind_the_others_once() -> None:
    peer = opened(1, 3, window=65_535)
    for number in (1, 3):
        peer.server.respond(stream(peer, number), RESPONSE)
        peer.server.send(stream(peer, number), bytes(10_000))
    peer.server.send(stream(peer, 1), bytes(10_000))
    assert data_of(peer.read()) == [(3, 10_000), (1, 16_384), (1, 3_616)]


def test_a_stream_without_window_waits_alone() -> None:
    peer = opened(1, 3, values={4: 10})
    unary(peer, 1, 100)
    unary(peer, 3, 10)
    assert data_of(peer.read()) == [(3, 10), (1, 10)]
    assert peer.server.queued(stream(peer, 1)) == 90
    sent = peer.send(window_update(1, 90))
    assert data_of(sent) == [(1, 90)]
    assert isinstance(sent[-1], HeadersFrame)  # the trailers come behind the data
    assert "END_STREAM" in sent[-1].flags
    assert peer.server.streams == 0


def test_a_small_answer_waits_for_the_connections_window() -> None:
    peer = opened(1, 3, window=65_535)
    unary(peer, 1, 65_530)
    peer.read()
    unary(peer, 3, 10)
    assert data_of(peer.read()) == [(3, 5)]
    assert data_of(peer.send(window_update(0, 5))) == [(3, 5)]


def test_a_stream_whose_window_shrinks_to_nothing_leaves_its_place() -> None:  # RFC 9113, 6.9.2
    peer = opened(1, 3, window=65_535, values={4: 100_000})
    unary(peer, 1, 100_000)
    unary(peer, 3, 5)
    peer.read()  # the connection's window is used up, 34,470 bytes of stream 1's are not
    peer.send(settings({4: 60_000}))
    assert data_of(peer.send(window_update(0, 100))) == []
    assert data_of(peer.send(window_update(1, 5_540))) == [(1, 10)]


def test_an_end_needs_no_window() -> None:
    peer = opened(1, 3, 5, values={4: 0})
    peer.server.respond(stream(peer, 1), RESPONSE)
    peer.server.trailers(stream(peer, 1), TRAILERS)
    peer.server.respond(stream(peer, 3), RESPONSE)
    peer.server.send(stream(peer, 3), b"", end=True)
    peer.server.respond(stream(peer, 5), RESPONSE, end=True)
    ends = [each.stream_id for each in peer.read() if "END_STREAM" in each.flags]
    assert sorted(ends) == [1, 3, 5]
    assert peer.server.streams == 0


def test_a_handler_hears_when_its_stream_has_drained() -> None:
    peer = opened(1, 3)
    for number in (1, 3):
        peer.server.respond(stream(peer, number), RESPONSE)
    peer.server.send(stream(peer, 1), bytes(LIMITS.queued_high_bytes + 1))
    peer.server.send(stream(peer, 3), bytes(LIMITS.queued_high_bytes))
    while peer.server.queued(stream(peer, 1)) > LIMITS.queued_low_bytes:
        assert peer.handler.drained == []
        assert peer.server.take()
    assert peer.handler.drained == [1]
    peer.read()
    assert peer.handler.drained == [1]  # the other one was never high


def test_what_waits_for_a_stream_that_is_reset_is_dropped() -> None:
    peer = opened(1, 3, window=65_535)
    unary(peer, 1, MIB)
    peer.read()
    assert peer.send(rst_stream(1), window_update(0, MIB)) == []
    assert peer.handler.resets == [(1, codes.CANCEL)]
    unary(peer, 1, 5)  # late: dropped
    unary(peer, 3, 5)
    assert data_of(peer.read()) == [(3, 5)]
    assert peer.server.streams == 0
    peer.server.take()
    assert peer.server._load.bytes == 0


def test_a_request_answered_before_its_end_may_stop() -> None:  # RFC 9113, 8.1
    peer = opened()
    peer.send(headers(1), data(1, b"half"))
    peer.server.respond(stream(peer, 1), RESPONSE + TRAILERS, end=True)
    answer, reset = peer.read()
    assert "END_STREAM" in answer.flags
    assert isinstance(reset, RstStreamFrame)
    assert reset.error_code == codes.NO_ERROR
    assert peer.send(data(1, b"the other half", "END_STREAM")) == []
    assert peer.handler.resets == []


def test_a_request_that_was_answered_at_once_is_not_ended_as_well() -> None:
    class Refuser(Echo):
        def on_request(self, stream: Http2Stream) -> None:
            self.connection.respond(stream, RESPONSE + TRAILERS, end=True)

        def on_end(self, stream: Http2Stream) -> None:
            raise AssertionError("it is over")

    peer = Peer(handler=Refuser())
    assert len(peer.send(request(1))) == 1
    assert peer.server.streams == 0


def test_a_long_header_block_is_continued() -> None:
    peer = opened(1)
    message = b"x" * 40_000
    peer.server.respond(stream(peer, 1), [*RESPONSE, (b"grpc-message", message)], end=True)
    first, second, third = peer.read()
    assert ("END_STREAM" in first.flags, "END_HEADERS" in first.flags) == (True, False)
    assert ("END_HEADERS" in second.flags, "END_HEADERS" in third.flags) == (False, True)
    whole = first.data + second.data + third.data  # type: ignore[attr-defined]
    assert message in whole


@pytest.mark.parametrize("sizes", [[100], [0, 4_096], [50, 30]])
def test_a_smaller_header_table_is_confirmed_in_the_next_block(sizes: list[int]) -> None:
    # RFC 7541, 4.2: the least of all sizes since the last block.
    peer = opened(1, 3)
    peer.send(frame(4, 0, 0, b"".join(b"\0\1" + size.to_bytes(4, "big") for size in sizes)))
    for number in (1, 3):
        unary(peer, number, 5)
    blocks = [each.data for each in peer.read() if isinstance(each, HeadersFrame)]
    assert [block[0] for block in blocks].count(0x20) == 1
    assert blocks[0] == b"\x20" + RESPONSE_BLOCK


def test_an_answer_waits_until_a_ping_is_written_with_it() -> None:
    peer = opened(1)
    unary(peer, 1, 5)
    assert len(peer.send(ping())) == 4  # one write: headers, data, trailers, and the ping's answer


def test_going_away_serves_what_is_under_way() -> None:  # RFC 9113, 6.8
    peer = opened(1)
    peer.server.go_away()
    first, pinged = peer.read()
    assert verdict([first]) == [("connection", 0x7FFF_FFFF, codes.NO_ERROR)]
    assert peer.send(request(3)) == []  # was on its way
    answer = ping(pinged.opaque_data)  # type: ignore[attr-defined]
    acknowledged = answer[:4] + b"\x01" + answer[5:]
    assert verdict(peer.send(acknowledged)) == [("connection", 3, codes.NO_ERROR)]
    assert peer.send(request(5)) == []
    assert [each.id for each in peer.handler.requests] == [1, 3]
    for number in (1, 3):
        assert peer.is_open
        unary(peer, number, 5)
    assert len(data_of(peer.read())) == 2
    assert not peer.is_open


def test_going_away_does_not_wait_for_a_peer_that_answers_no_ping() -> None:
    peer = opened()
    peer.server.go_away()
    peer.read()
    due = peer.server.next_tick_ms
    assert due is not None
    peer.server.tick(due)
    due = peer.server.next_tick_ms
    assert due is not None
    peer.server.tick(due)
    assert verdict(peer.read()) == [("connection", 0, codes.NO_ERROR)]
    assert not peer.is_open


def test_going_away_at_once_tells_each_stream() -> None:
    peer = opened(1, 3)
    peer.server.go_away(codes.INTERNAL_ERROR, "broken")
    assert verdict(peer.read()) == [("connection", 3, codes.INTERNAL_ERROR)]
    assert peer.handler.resets == [(1, codes.INTERNAL_ERROR), (3, codes.INTERNAL_ERROR)]
    assert (peer.is_open, peer.server.close_reason) == (False, "broken")


def test_a_lost_transport_tells_each_stream() -> None:
    peer = opened(1)
    peer.server.lose()
    assert peer.handler.resets == [(1, codes.CANCEL)]
    assert peer.read() == []


def test_the_answer_to_a_ping_has_time_until_a_request_is_answered() -> None:
    peer = opened(1)
    peer.server.receive(ping(), 0)
    assert peer.server.has_time
    unary(peer, 1, 10)
    assert not peer.server.has_time
    assert [type(each) for each in peer.read()] == [
        PingFrame,
        HeadersFrame,
        DataFrame,
        HeadersFrame,
    ]


@pytest.mark.parametrize(
    ("numbers", "sent"),
    [((), ping()), ((1,), ping() + settings()), ((1,), rst_stream(1) + ping())],
    ids=["no request", "another frame", "a request that is reset"],
)
def test_nothing_else_has_time(numbers: tuple[int, ...], sent: bytes) -> None:
    peer = opened(*numbers)
    peer.server.receive(sent, 0)
    assert not peer.server.has_time
    assert not opened(1).server.has_time
