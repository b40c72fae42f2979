"""The rules of RFC 9113 about what a client may send, each as a case: section, frames, answer."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import pytest
from hyperframe.frame import Frame, PingFrame, SettingsFrame, WindowUpdateFrame

from cluster.etcd.http2 import LIMITS, codes
from cluster.etcd.http2.limits import CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES
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

FINE: Final = None
WINDOW_MAX: Final = 0x7FFF_FFFF


class Case(NamedTuple):
    """Frames that a peer sends on an open connection; the error is a kind and a code, or none."""

    section: str
    says: str
    sent: list[bytes]
    error: tuple[str, int] | None


def connection(code: int) -> tuple[str, int]:
    return ("connection", code)


def stream(code: int) -> tuple[str, int]:
    return ("stream", code)


def without(*names: str) -> list[Any]:
    return [field for field in FIELDS if field[0] not in names]


def behind(*fields: tuple[str, str]) -> bytes:
    """A request with these fields behind the usual ones."""
    return request(1, [*FIELDS, *fields])


PROTOCOL: Final = codes.PROTOCOL_ERROR
FLOW: Final = codes.FLOW_CONTROL_ERROR
SIZE: Final = codes.FRAME_SIZE_ERROR
CLOSED: Final = codes.STREAM_CLOSED

ENDED: Final = [data(1, b"x", "END_STREAM")]

CASES: Final = [
    # 4: frames
    Case("4.1", "an unknown kind of frame is ignored", [frame(0x16, 0xFF, 1, b"?"), ping()], FINE),
    Case("4.1", "the reserved bit is ignored", [frame(6, 0, 1 << 31, bytes(8))], FINE),
    Case("4.1", "flags that mean nothing are ignored", [frame(6, 0xFE, 0, bytes(8))], FINE),
    Case("4.2", "a frame over 16,384 bytes", [frame(0, 0, 1, bytes(16_385))], connection(SIZE)),
    Case(
        "4.2",
        "a frame of 16,384 bytes",
        [headers(1), data(1, bytes(16_384), "END_STREAM")],
        FINE,
    ),
    Case("4.3", "a block that no table explains", [frame(1, 5, 1, b"\xff\xff\x7f")], connection(9)),
    Case(
        "4.3",
        "a frame between the parts of a block",
        [headers(1, None, "END_STREAM"), ping()],
        connection(PROTOCOL),
    ),
    Case(
        "4.3",
        "another stream's part of a block",
        [headers(1, None, "END_STREAM"), continuation(3, b"", "END_HEADERS")],
        connection(PROTOCOL),
    ),
    # 5.1: states of streams
    Case("5.1", "DATA on an idle stream", [data(1, b"x")], connection(PROTOCOL)),
    Case("5.1", "RST_STREAM on an idle stream", [rst_stream(1)], connection(PROTOCOL)),
    Case("5.1", "WINDOW_UPDATE on an idle stream", [window_update(1, 1)], connection(PROTOCOL)),
    Case("5.1", "PRIORITY on an idle stream", [frame(2, 0, 1, bytes(5))], FINE),
    Case("5.1", "HEADERS behind the answer", [headers(1), *ENDED, request(1)], connection(CLOSED)),
    Case("5.1", "DATA behind the answer", [headers(1), *ENDED, data(1)], connection(CLOSED)),
    Case("5.1", "RST_STREAM behind the answer", [request(1), rst_stream(1)], FINE),
    Case("5.1", "WINDOW_UPDATE behind the answer", [request(1), window_update(1, 1)], FINE),
    Case("5.1", "DATA behind a reset", [headers(1), rst_stream(1), data(1)], connection(CLOSED)),
    Case("5.1.1", "a stream with an even id", [request(2)], connection(PROTOCOL)),
    Case("5.1.1", "DATA on an even id", [request(1), request(3), data(2)], connection(PROTOCOL)),
    Case("5.1.1", "a smaller id than before", [request(5), request(3)], connection(PROTOCOL)),
    Case("5.1.1", "ids may be passed over", [request(1), request(7), request(1001)], FINE),
    # 6.1: DATA
    Case("6.1", "DATA on stream 0", [frame(0, 0, 0, b"x")], connection(PROTOCOL)),
    Case("6.1", "padding", [headers(1), frame(0, 9, 1, b"\x03abc\0\0\0")], FINE),
    Case("6.1", "padding only", [headers(1), frame(0, 9, 1, b"\x03\0\0\0")], FINE),
    Case("6.1", "too much padding", [headers(1), frame(0, 8, 1, b"\x04abc")], connection(PROTOCOL)),
    Case("6.1", "no length of padding", [headers(1), frame(0, 8, 1)], connection(SIZE)),
    # 6.2: HEADERS
    Case("6.2", "HEADERS on stream 0", [frame(1, 5, 0, block())], connection(PROTOCOL)),
    Case("6.2", "padding", [frame(1, 0xD, 1, b"\x02" + block() + bytes(2))], FINE),
    Case("6.2", "too much padding", [frame(1, 0xD, 1, b"\xff" + block())], connection(PROTOCOL)),
    Case("6.2", "a priority", [frame(1, 0x25, 1, bytes(5) + block())], FINE),
    Case("6.2", "both", [frame(1, 0x2D, 1, b"\x01" + bytes(5) + block() + b"\0")], FINE),
    Case("6.2", "half a priority", [frame(1, 0x25, 1, bytes(3))], connection(SIZE)),
    # 6.3 to 6.5: PRIORITY, RST_STREAM, SETTINGS
    Case("6.3", "PRIORITY on stream 0", [frame(2, 0, 0, bytes(5))], connection(PROTOCOL)),
    Case("6.3", "PRIORITY of 4 bytes", [headers(1), frame(2, 0, 1, bytes(4))], stream(SIZE)),
    Case("6.4", "RST_STREAM on stream 0", [frame(3, 0, 0, bytes(4))], connection(PROTOCOL)),
    Case("6.4", "RST_STREAM of 3 bytes", [headers(1), frame(3, 0, 1, bytes(3))], connection(SIZE)),
    Case("6.5", "an ACK with a payload", [frame(4, 1, 0, bytes(6))], connection(SIZE)),
    Case("6.5", "SETTINGS on a stream", [frame(4, 0, 1)], connection(PROTOCOL)),
    Case("6.5", "SETTINGS of 5 bytes", [frame(4, 0, 0, bytes(5))], connection(SIZE)),
    Case("6.5", "an ACK that nobody asked for", [frame(4, 1, 0)], FINE),
    Case("6.5.2", "ENABLE_PUSH of 2", [settings({2: 2})], connection(PROTOCOL)),
    Case("6.5.2", "a window of 2^31", [settings({4: 1 << 31})], connection(FLOW)),
    Case("6.5.2", "frames of 16,383 bytes", [settings({5: 16_383})], connection(PROTOCOL)),
    Case("6.5.2", "frames of 2^24 bytes", [settings({5: 1 << 24})], connection(PROTOCOL)),
    Case("6.5.2", "an unknown setting", [settings({0xABC: 1})], FINE),
    # 6.6 to 6.8: PUSH_PROMISE, PING, GOAWAY
    Case("8.4", "PUSH_PROMISE", [headers(1), frame(5, 4, 1, bytes(4))], connection(PROTOCOL)),
    Case("6.7", "PING on a stream", [frame(6, 0, 1, bytes(8))], connection(PROTOCOL)),
    Case("6.7", "PING of 7 bytes", [frame(6, 0, 0, bytes(7))], connection(SIZE)),
    Case("6.7", "an answer to no PING", [frame(6, 1, 0, bytes(8))], FINE),
    Case("6.8", "GOAWAY on a stream", [frame(7, 0, 1, bytes(8))], connection(PROTOCOL)),
    Case("6.8", "GOAWAY of 7 bytes", [frame(7, 0, 0, bytes(7))], connection(SIZE)),
    Case("6.8", "a request behind GOAWAY", [frame(7, 0, 0, bytes(8)), request(1)], FINE),
    # 6.9: WINDOW_UPDATE
    Case("6.9", "WINDOW_UPDATE of 3 bytes", [frame(8, 0, 0, bytes(3))], connection(SIZE)),
    Case("6.9", "a window of nothing more", [frame(8, 0, 0, bytes(4))], connection(PROTOCOL)),
    Case("6.9", "the same on a stream", [headers(1), frame(8, 0, 1, bytes(4))], stream(PROTOCOL)),
    Case("6.9.1", "a window over 2^31-1", [window_update(0, WINDOW_MAX)], connection(FLOW)),
    Case(
        "6.9.1",
        "a stream's window over 2^31-1",
        [headers(1), window_update(1, WINDOW_MAX)],
        stream(FLOW),
    ),
    Case(
        "6.9.2",
        "a setting that widens a window over 2^31-1",
        [headers(1), window_update(1, WINDOW_MAX - 65_535), settings({4: 65_536})],
        connection(FLOW),
    ),
    # 6.10: CONTINUATION
    Case("6.10", "of no block", [continuation(1, b"", "END_HEADERS")], connection(PROTOCOL)),
    Case(
        "6.10",
        "behind a whole block",
        [headers(1), continuation(1, b"", "END_HEADERS")],
        connection(PROTOCOL),
    ),
    Case(
        "6.10",
        "a block in three parts",
        [
            frame(1, 1, 1, block()[:5]),
            continuation(1, block()[5:9]),
            continuation(1, block()[9:], "END_HEADERS"),
        ],
        FINE,
    ),
    # 8.1: the order of a request
    Case("8.1", "trailers", [headers(1), request(1, [("x-checksum", "1")])], FINE),
    Case("8.1", "trailers that end nothing", [headers(1), headers(1)], stream(PROTOCOL)),
    Case("8.1", "a pseudo-header in trailers", [headers(1), request(1)], stream(PROTOCOL)),
    Case(
        "8.1.1",
        "a body as long as it says",
        [
            headers(1, [*FIELDS, ("content-length", "3")]),
            data(1, b"ab"),
            data(1, b"c", "END_STREAM"),
        ],
        FINE,
    ),
    Case(
        "8.1.1",
        "a body that is too long",
        [headers(1, [*FIELDS, ("content-length", "3")]), data(1, b"abcd")],
        stream(PROTOCOL),
    ),
    Case(
        "8.1.1",
        "a body that is too short",
        [headers(1, [*FIELDS, ("content-length", "3")]), data(1, b"ab", "END_STREAM")],
        stream(PROTOCOL),
    ),
    Case(
        "8.1.1",
        "trailers before it is long enough",
        [headers(1, [*FIELDS, ("content-length", "3")]), request(1, [("x", "1")])],
        stream(PROTOCOL),
    ),
    Case(
        "8.1.1", "no body where there is one", [behind(("content-length", "3"))], stream(PROTOCOL)
    ),
    Case(
        "8.1.1",
        "two lengths",
        [behind(("content-length", "0"), ("content-length", "1"))],
        stream(PROTOCOL),
    ),
    Case(
        "8.1.1", "a length that is no number", [behind(("content-length", "+0"))], stream(PROTOCOL)
    ),
    # 8.2 and 8.3: fields
    Case("8.2.1", "an upper-case name", [behind(("X-Y", "1"))], stream(PROTOCOL)),
    Case("8.2.1", "a name with a space", [behind(("x y", "1"))], stream(PROTOCOL)),
    Case("8.2.1", "a name with a colon", [behind(("x:y", "1"))], stream(PROTOCOL)),
    Case("8.2.1", "an empty name", [behind(("", "1"))], stream(PROTOCOL)),
    Case("8.2.1", "a value with NUL", [behind(("x", "a\0b"))], stream(PROTOCOL)),
    Case("8.2.1", "a value with CR", [behind(("x", "a\rb"))], stream(PROTOCOL)),
    Case("8.2.1", "a value with LF", [behind(("x", "a\n"))], stream(PROTOCOL)),
    Case("8.2.1", "a value behind a space", [behind(("x", " a"))], stream(PROTOCOL)),
    Case("8.2.1", "a value before a tab", [behind(("x", "a\t"))], stream(PROTOCOL)),
    Case("8.2.1", "an empty value", [behind(("x", ""))], FINE),
    Case("8.2.2", "connection", [behind(("connection", "close"))], stream(PROTOCOL)),
    Case("8.2.2", "keep-alive", [behind(("keep-alive", "1"))], stream(PROTOCOL)),
    Case(
        "8.2.2", "transfer-encoding", [behind(("transfer-encoding", "chunked"))], stream(PROTOCOL)
    ),
    Case("8.2.2", "upgrade", [behind(("upgrade", "h2c"))], stream(PROTOCOL)),
    Case(
        "8.2.2",
        "te that is not trailers",
        [request(1, [*without("te"), ("te", "gzip")])],
        stream(PROTOCOL),
    ),
    Case("8.3", "an unknown pseudo-header", [request(1, [(":x", "1"), *FIELDS])], stream(PROTOCOL)),
    Case(
        "8.3",
        "a pseudo-header of responses",
        [request(1, [(":status", "200"), *FIELDS])],
        stream(PROTOCOL),
    ),
    Case(
        "8.3",
        "a pseudo-header behind a field",
        [request(1, [("x", "1"), *FIELDS])],
        stream(PROTOCOL),
    ),
    Case("8.3", "a pseudo-header twice", [request(1, [FIELDS[0], *FIELDS])], stream(PROTOCOL)),
    Case("8.3.1", "no method", [request(1, without(":method"))], stream(PROTOCOL)),
    Case("8.3.1", "no scheme", [request(1, without(":scheme"))], stream(PROTOCOL)),
    Case("8.3.1", "no path", [request(1, without(":path"))], stream(PROTOCOL)),
    Case(
        "8.3.1", "an empty path", [request(1, [(":path", ""), *without(":path")])], stream(PROTOCOL)
    ),
    Case("8.3.1", "no authority", [request(1, without(":authority"))], FINE),
    Case(
        "8.3.1",
        "a host that is not the authority",
        [behind(("host", "elsewhere"))],
        stream(PROTOCOL),
    ),
    Case("8.3.1", "a host that is the authority", [behind(("host", "127.0.0.1:2379"))], FINE),
    Case("8.3.1", "no fields at all", [frame(1, 5, 1, b"")], stream(PROTOCOL)),
    Case("8.5", "CONNECT", [request(1, [(":method", "CONNECT"), (":authority", "a:1")])], FINE),
    Case(
        "8.5",
        "CONNECT with a path",
        [request(1, [(":method", "CONNECT"), *FIELDS[1:]])],
        stream(PROTOCOL),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.section} {case.says}")
def test_a_rule_is_kept(case: Case) -> None:
    peer = Peer()
    found = verdict(peer.send(*case.sent))
    assert [(kind, code) for kind, _, code in found if code] == ([case.error] if case.error else [])
    assert peer.is_open == (case.error is None or case.error[0] == "stream")


def test_frames_behind_the_end_of_a_request_that_is_not_answered_end_it() -> None:  # 5.1
    for late in (data(1, b"x"), request(1, [("x", "1")])):
        peer = Peer()
        peer.handler.answers = False
        peer.send(request(1))
        assert verdict(peer.send(late)) == [("stream", 1, CLOSED)]
        assert peer.handler.resets == [(1, CLOSED)]
        assert peer.is_open


def test_frames_on_a_stream_that_this_side_has_reset_are_ignored() -> None:  # 5.1
    peer = Peer()
    peer.handler.answers = False
    peer.send(headers(1))
    peer.server.reset(peer.handler.requests[0], codes.CANCEL)
    assert verdict(peer.read()) == [("stream", 1, codes.CANCEL)]
    assert peer.send(data(1, b"x"), data(1, b"y", "END_STREAM"), rst_stream(1)) == []
    assert peer.is_open


def test_the_preface_comes_first() -> None:  # 3.4
    for sent in (b"GET / HTTP/1.1\r\n\r\n", PREFACE + ping(), PREFACE + frame(4, 1, 0)):
        peer = Peer(opens=False)
        assert verdict(peer.send(sent)) == [("connection", 0, PROTOCOL)]
        assert not peer.is_open


def test_a_connection_that_comes_byte_by_byte_is_understood() -> None:  # 4.1
    peer = Peer(opens=False)
    sent = b"".join([PREFACE, settings(), headers(1), data(1, b"body", "END_STREAM"), ping()])
    answers: list[Frame] = []
    for at in range(len(sent)):
        answers += peer.send(sent[at : at + 1])
    kinds = [type(each).__name__ for each in answers]
    assert kinds[-4:] == ["HeadersFrame", "DataFrame", "HeadersFrame", "PingFrame"]
    assert peer.is_open


def test_the_servers_preface_offers_unlimited_streams() -> None:  # 3.4, 6.5.2
    first, widened, acknowledged = Peer().opening
    assert isinstance(first, SettingsFrame)
    assert first.settings[SettingsFrame.MAX_CONCURRENT_STREAMS] == 0xFFFF_FFFF
    assert isinstance(widened, WindowUpdateFrame)
    assert widened.window_increment == CONNECTION_WINDOW_BYTES - 65_535
    assert isinstance(acknowledged, SettingsFrame)
    assert "ACK" in acknowledged.flags


def test_pings_and_settings_are_acknowledged_in_their_order() -> None:  # 6.5.3, 6.7
    first, second, third = Peer().send(ping(b"one-----"), settings({1: 0}), ping(b"two-----"))
    assert isinstance(first, PingFrame)
    assert (first.opaque_data, "ACK" in first.flags) == (b"one-----", True)
    assert isinstance(second, SettingsFrame)
    assert isinstance(third, PingFrame)
    assert third.opaque_data == b"two-----"


@pytest.mark.parametrize("flags", [[], ["END_STREAM"]])
def test_data_over_the_streams_window_ends_the_stream(flags: list[str]) -> None:  # 6.9.1
    peer = Peer()
    peer.handler.answers = False
    peer.send(headers(1))
    peer.handler.requests[0].auto = False
    parts = [data(1, bytes(16_384))] * (STREAM_WINDOW_BYTES // 16_384)
    assert verdict(peer.send(*parts)) == []
    assert verdict(peer.send(data(1, b"x", *flags))) == [("stream", 1, FLOW)]


def test_data_over_the_connections_window_ends_the_connection() -> None:  # 6.9.1
    peer = Peer(LIMITS._replace(connection_window_bytes=10_000))
    assert verdict(peer.send(headers(1), data(1, bytes(10_001)))) == [("connection", 1, FLOW)]


def test_unsent_answers_follow_the_window_below_zero() -> None:  # 6.9.2
    peer = Peer(values={4: 10})
    peer.handler.answers = False
    peer.send(request(1))
    stream = peer.handler.requests[0]
    peer.server.respond(stream, [(b":status", b"200")])
    peer.server.send(stream, b"0123456789abcdef", end=True)
    assert [each.body_len for each in peer.read()][-1] == 10
    assert peer.send(settings({4: 2}))[0].flags  # eight more than the window have been sent
    assert peer.send(window_update(1, 8)) == []
    (last,) = peer.send(window_update(1, 100))
    assert last.data == b"abcdef"  # type: ignore[attr-defined]
