"""A connection of HTTP/1.1: order, keeping alive, and every limit."""

from __future__ import annotations

import pytest

from cluster.etcd.web.connection import HttpConnection
from cluster.etcd.web.limits import (
    BODY_STALL_SECONDS_MAX,
    HEAD_BYTES_MAX,
    HEAD_SECONDS_MAX,
    HEADERS_MAX,
    IDLE_SECONDS_MAX,
    PIPELINED_MAX,
    READ_STALL_SECONDS_MAX,
)
from tests.cluster.etcd.web.wire import Client, Desk

GET = b"GET /one?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /two HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def client(desk: Desk) -> Client:
    return Client(lambda clock: HttpConnection(desk, clock))


def test_a_request_is_answered_and_the_connection_stays(client: Client, desk: Desk) -> None:
    client.send(GET)
    ((exchange, body),) = desk.asked
    assert (exchange.request.method, exchange.request.path, body) == ("GET", "/one", b"")
    assert exchange.request.query() == {"x": ["1"]}
    exchange.answer(200, b"hi", "text/plain")
    assert client.read() == (
        b"HTTP/1.1 200 OK\r\nX-Common: 1\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
    )
    assert not client.wire.is_closed
    client.send(POST)
    assert desk.asked[1][1] == b"abc"


@pytest.mark.parametrize("size", [1, 2, 7])
def test_bytes_may_come_in_any_portions(client: Client, desk: Desk, size: int) -> None:
    for at in range(0, len(POST), size):
        client.send(POST[at : at + size])
    assert desk.asked[0][1] == b"abc"


def test_chunks_are_one_body_and_trailers_are_ignored(client: Client, desk: Desk) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    client.send(head + b"3\r\nabc\r\n1\r\nd\r\n0\r\nHost: b\r\n\r\n")
    ((exchange, body),) = desk.asked
    assert body == b"abcd"
    assert exchange.request.headers["host"] == "a"


def test_requests_sent_ahead_are_answered_in_order(client: Client, desk: Desk) -> None:
    client.send(POST.replace(b"/two", b"/1") + POST.replace(b"/two", b"/2") + GET)
    assert [exchange.request.path for exchange, _ in desk.asked] == ["/1"]
    assert client.wire.is_paused
    desk.asked[0][0].answer(200, b"1")
    assert [exchange.request.path for exchange, _ in desk.asked] == ["/1", "/2"]
    desk.asked[1][0].answer(200, b"2")
    assert not client.wire.is_paused
    desk.asked[2][0].answer(200, b"3")
    assert [part[-1:] for part in client.read().split(b"HTTP/1.1")[1:]] == [b"1", b"2", b"3"]


def test_too_many_requests_sent_ahead_end_the_connection(client: Client, desk: Desk) -> None:
    client.send(GET * (PIPELINED_MAX + 2))
    assert client.wire.is_closed
    assert len(desk.asked) == 1


def test_a_client_that_wants_to_close_is_closed_after_its_answer(
    client: Client, desk: Desk
) -> None:
    client.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + b"rubbish")
    desk.asked[0][0].answer(200, b"")
    assert b"Connection: close\r\n" in client.read()
    assert client.wire.is_closed


def test_http_1_0_closes_unless_it_asks_to_be_kept(client: Client, desk: Desk) -> None:
    client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    desk.asked[0][0].answer(200, b"")
    assert b"HTTP/1.0 200 OK" in (answer := client.read())
    assert b"Connection: keep-alive" in answer
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    exchange = desk.asked[1][0]
    exchange.begin()
    exchange.write(b"part")
    exchange.end()
    assert client.read().endswith(b"\r\n\r\npart")
    assert client.wire.is_closed


def test_an_answer_of_unknown_length_comes_in_chunks(client: Client, desk: Desk) -> None:
    client.send(GET)
    exchange = desk.asked[0][0]
    exchange.begin()
    exchange.write(b"0123456789abcdef")
    exchange.write(b"")
    exchange.end()
    exchange.end()
    assert client.read().endswith(b"\r\n\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n")


def test_the_answer_to_head_has_no_body(client: Client, desk: Desk) -> None:
    client.send(GET.replace(b"GET", b"HEAD"))
    desk.asked[0][0].answer(200, b"hello")
    answer = client.read()
    assert b"Content-Length: 5\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_a_client_that_waits_to_be_told_is_told_to_go_on(client: Client, desk: Desk) -> None:
    client.send(POST.replace(b"\r\n\r\nabc", b"\r\nExpect: 100-continue\r\n\r\n"))
    assert client.read() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"abc")
    assert desk.asked[0][1] == b"abc"


def test_an_offer_of_http_2_is_passed_over(client: Client, desk: Desk) -> None:
    offer = b"\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n"
    client.send(POST.replace(b"\r\n\r\n", offer) + GET)
    assert [body for _, body in desk.asked] == [b"abc"]
    desk.asked[0][0].answer(200, b"")
    assert desk.asked[1][0].request.path == "/one"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GARBAGE\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost : a\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"400",
        ),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * HEADERS_MAX + b"\r\n", b"400"),
        (b"GET /" + b"a" * HEAD_BYTES_MAX, b"431"),
    ],
    ids=[
        "no request",
        "no host",
        "another version",
        "two hosts",
        "a blank after a name",
        "another coding",
        "two lengths",
        "length and chunks",
        "many headers",
        "a long line",
    ],
)
def test_what_is_no_request_is_refused_and_closed(
    client: Client, desk: Desk, data: bytes, status: bytes
) -> None:
    client.send(data)
    assert client.read().startswith(b"HTTP/1.1 " + status)
    assert client.wire.is_closed
    assert desk.asked == []


def test_a_body_over_its_limit_is_refused_while_it_comes(client: Client, desk: Desk) -> None:
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"a" * 1_001)
    assert client.read().startswith(b"HTTP/1.1 413")
    assert client.wire.is_closed
    assert desk.asked == []


@pytest.mark.parametrize(
    ("data", "seconds_max"),
    [
        (b"", IDLE_SECONDS_MAX),
        (b"GET / HT", HEAD_SECONDS_MAX),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na", BODY_STALL_SECONDS_MAX),
    ],
    ids=["idle", "a head that does not end", "a body that does not go on"],
)
def test_a_client_that_sends_nothing_more_is_closed_in_time(
    client: Client, data: bytes, seconds_max: float
) -> None:
    client.send(data)
    client.look(seconds_max)
    assert not client.wire.is_closed
    client.look(1)
    assert client.wire.is_closed


def test_a_head_that_comes_drop_by_drop_is_closed_in_time(client: Client) -> None:
    for byte in b"GET / HTTP/1.1\r\n"[: int(HEAD_SECONDS_MAX) + 1]:
        client.send(bytes([byte]))
        client.look(1)
    assert client.wire.is_closed


def test_a_request_under_way_may_take_its_time(client: Client) -> None:
    client.send(POST)
    client.look(10 * IDLE_SECONDS_MAX)
    assert not client.wire.is_closed


def test_a_client_that_reads_nothing_loses_its_connection(client: Client, desk: Desk) -> None:
    client.send(GET)
    desk.asked[0][0].answer(200, b"much")
    client.wire.unread = 500
    client.look(0)
    client.look(READ_STALL_SECONDS_MAX - 1)
    client.wire.unread = 400  # it reads slowly, but it reads
    client.look(1)
    client.look(READ_STALL_SECONDS_MAX)
    assert not client.wire.is_aborted
    client.look(1)
    assert client.wire.is_aborted


def test_work_stops_when_the_client_goes(client: Client, desk: Desk) -> None:
    client.send(GET)
    exchange = desk.asked[0][0]
    client.connection.connection_lost(None)
    assert exchange.is_over
    exchange.answer(200, b"late")
    assert client.read() == b""
    assert desk.closed_count == 1


def test_a_client_that_only_stops_sending_gets_its_answer(client: Client, desk: Desk) -> None:
    client.send(GET)
    assert client.connection.eof_received()
    desk.asked[0][0].answer(200, b"still")
    assert client.read().endswith(b"still")
    assert client.wire.is_closed


def test_a_stream_ends_when_its_client_stops_sending(client: Client, desk: Desk) -> None:
    client.send(GET)
    desk.asked[0][0].begin()
    assert not client.connection.eof_received()
