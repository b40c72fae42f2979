"""A connection's calls, with `h2` as the client and a node that the test plays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest
from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame, PingFrame

from cluster import wire
from cluster.etcd.grpc.headers import OK_TRAILERS_BLOCK, RESPONSE_BLOCK
from cluster.etcd.grpc.messages import framed
from cluster.etcd.grpc.server import LONG_ANSWERS_MAX
from cluster.etcd.http2.codes import ENHANCE_YOUR_CALM
from cluster.etcd.http2.limits import CLOGGED_BYTES
from cluster.etcd.rpc.mapping import LONG_LISTS
from cluster.etcd.rpc.schema import RPCS
from cluster.etcd.services.lease import RENEWALS_MAX
from cluster.faults import (
    CANCELED,
    DEADLINE_EXCEEDED,
    INTERNAL,
    INVALID_ARGUMENT,
    NOT_FOUND,
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
    UNIMPLEMENTED,
    UNKNOWN,
)
from tests.cluster.etcd.grpc.peer import MESSAGE_BYTES_MAX, Peer
from tests.cluster.etcd.services.probe import settle
from tests.limits import HANG_SECONDS

PUT = "/etcdserverpb.KV/Put"
RANGE = "/etcdserverpb.KV/Range"
WATCH = "/etcdserverpb.Watch/Watch"
KEEP_ALIVE = "/etcdserverpb.Lease/LeaseKeepAlive"

Test = Callable[[], Coroutine[Any, Any, None]]


def in_loop(test: Test) -> Callable[[], None]:
    """Run a test as a task of its own loop."""

    @wraps(test)
    def run() -> None:
        asyncio.run(asyncio.wait_for(test(), HANG_SECONDS))

    return run


def request(path: str, **fields: Any) -> bytes:
    data: bytes = RPCS[path.encode()].request(**fields).SerializeToString()
    return data


def response(path: str, data: bytes) -> Any:
    return RPCS[path.encode()].response.FromString(data)


@in_loop
async def test_a_call_is_answered_with_headers_a_message_and_trailers() -> None:
    peer = Peer()
    stream = peer.call(PUT, request(PUT, key=b"k", value=b"v"))
    assert [(asked["op"], asked["key"]) for asked in peer.link.asked] == [("put", b"k")]
    peer.link.answer(0)
    await settle()
    answer = peer.answers[stream]
    assert answer.headers == {":status": "200", "content-type": "application/grpc"}
    assert response(PUT, answer.messages[0]).header.revision == 8
    assert answer.trailers == {"grpc-status": "0"}
    assert answer.has_ended


@in_loop
async def test_each_call_has_the_token_of_its_own_metadata() -> None:
    peer = Peer()
    for token in ("one", "two", "two"):
        peer.call(PUT, request(PUT, key=b"k"), token=token)
    peer.call(PUT, request(PUT, key=b"k"))
    assert [asked.get("token") for asked in peer.link.asked] == ["one", "two", "two", None]


@in_loop
async def test_many_calls_of_a_connection_are_answered_in_any_order() -> None:
    peer = Peer()
    streams = [peer.call(RANGE, request(RANGE, key=b"%d" % n)) for n in range(10)]
    for number in reversed(range(10)):
        peer.link.answer(number, kvs=(), more=False, count=number)
    await settle()
    counts = [response(RANGE, peer.answers[stream].messages[0]).count for stream in streams]
    assert counts == list(range(10))


def long_reply(kvs: int) -> wire.LazyMap:
    reply = {"header": {"revision": 8}, "kvs": [{"key": bytes(1_000)}] * kvs, "count": kvs}
    return wire.unpack_lazily(wire.pack(reply), LONG_LISTS)


@in_loop
async def test_others_are_served_while_a_long_answer_is_made_for_a_client_of_a_leader() -> None:
    peer = Peer()
    long = peer.call(RANGE, request(RANGE, key=b"k"), hasleader="true")
    peer.link.answer(0, leader=1)
    await settle()
    short = peer.call(PUT, request(PUT, key=b"k"))
    peer.link.reply(1, long_reply(3_000))
    peer.link.answer(2)
    await peer.until(lambda: peer.answers[short].has_ended)
    assert not peer.answers[long].headers
    await peer.until(lambda: peer.answers[long].has_ended)
    assert len(response(RANGE, peer.answers[long].messages[0]).kvs) == 3_000


@in_loop
async def test_others_are_served_while_a_long_answer_is_made() -> None:
    peer = Peer()
    long = peer.call(RANGE, request(RANGE, key=b"k"))
    short = peer.call(PUT, request(PUT, key=b"k"))
    peer.link.reply(0, long_reply(3_000))
    peer.link.answer(1)
    await peer.until(lambda: peer.answers[short].has_ended)
    assert not peer.answers[long].headers
    await peer.until(lambda: peer.answers[long].has_ended)
    answer = peer.answers[long]
    found = response(RANGE, answer.messages[0])
    assert (len(found.kvs), found.count, found.header.revision) == (3_000, 3_000, 8)
    assert len(answer.messages) == 1
    assert answer.headers == {":status": "200", "content-type": "application/grpc"}
    assert answer.trailers == {"grpc-status": "0"}


@in_loop
async def test_while_long_answers_are_made_the_next_ones_wait_at_the_node() -> None:
    peer = Peer()
    streams = [peer.call(RANGE, request(RANGE, key=b"k")) for _ in range(LONG_ANSWERS_MAX)]
    for number in range(LONG_ANSWERS_MAX):
        assert not peer.link.is_paused
        peer.link.reply(number, long_reply(3_000))
    assert peer.link.is_paused
    assert peer.server.memory.used > 0
    peer.h2.reset_stream(streams[0])
    peer.flush()
    await peer.until(lambda: peer.answers[streams[1]].has_ended)
    assert not peer.link.is_paused
    await settle()
    assert peer.server.memory.used == 0


@in_loop
async def test_a_long_answer_that_nobody_wants_any_more_is_not_made() -> None:
    peer = Peer()
    stream = peer.call(RANGE, request(RANGE, key=b"k"))
    peer.link.reply(0, long_reply(3_000))
    peer.h2.reset_stream(stream)
    peer.flush()
    await settle()
    assert not peer.answers[stream].headers
    assert peer.counters.handled[RANGE.encode(), CANCELED] == 1


@in_loop
async def test_an_error_comes_as_trailers_only_with_its_text_escaped() -> None:
    peer = Peer()
    stream = peer.call(PUT, request(PUT, key=b"k"))
    peer.link.refuse(0, NOT_FOUND, "gone: 100% é")
    await settle()
    answer = peer.answers[stream]
    assert answer.headers["grpc-status"] == str(NOT_FOUND)
    assert answer.headers["grpc-message"] == "gone: 100%25 %C3%A9"
    assert not answer.messages
    assert answer.has_ended


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [
        ("/a.B/C", UNIMPLEMENTED, "unknown service a.B"),
        (
            "/etcdserverpb.KV/C",
            UNIMPLEMENTED,
            "unknown method C for service etcdserverpb.KV",
        ),
    ],
)
def test_unknown_paths_are_not_implemented(path: str, code: int, text: str) -> None:
    @in_loop
    async def test() -> None:
        peer = Peer()
        stream = peer.call(path)
        await settle()
        assert peer.answers[stream].status == (code, text)

    test()


@in_loop
async def test_what_is_no_grpc_is_refused_by_http() -> None:
    peer = Peer()
    web = peer.call(PUT, content_type="application/json")
    get = peer.begin(PUT, method="GET")
    await settle()
    assert peer.answers[web].headers[":status"] == "415"
    assert peer.answers[web].status[0] == INVALID_ARGUMENT
    assert peer.answers[get].headers[":status"] == "405"
    assert not peer.link.asked


@in_loop
async def test_compressed_and_oversized_messages_are_refused() -> None:
    peer = Peer()
    snappy = peer.call(PUT, grpc_encoding="snappy")
    size = MESSAGE_BYTES_MAX + 1
    large = peer.begin(PUT)
    peer.send(large, b"\0" + size.to_bytes(4, "big"))
    await settle()
    code, text = peer.answers[snappy].status
    assert code == UNIMPLEMENTED
    assert text == 'grpc: Decompressor is not installed for grpc-encoding "snappy"'
    code, text = peer.answers[large].status
    assert code == RESOURCE_EXHAUSTED
    assert text == f"grpc: received message larger than max ({size} vs. {MESSAGE_BYTES_MAX})"
    assert not peer.link.asked


@in_loop
async def test_a_message_is_joined_from_the_parts_it_comes_in() -> None:
    peer = Peer()
    stream = peer.begin(PUT)
    data = framed(request(PUT, key=b"k", value=b"v" * 100))
    for position in range(len(data)):
        assert not peer.link.asked
        peer.send(stream, data[position : position + 1])
    assert peer.link.asked[0]["value"] == b"v" * 100
    peer.link.answer(0)
    await settle()
    assert peer.answers[stream].status == (0, "")


@in_loop
async def test_bytes_that_are_no_request_and_a_call_without_one() -> None:
    peer = Peer()
    bad = peer.call(PUT, b"\xff\xff")
    none = peer.begin(PUT)
    peer.send(none, b"", end=True)
    stream = peer.call(KEEP_ALIVE, b"\xff\xff")
    await settle()
    assert peer.answers[bad].status[0] == INTERNAL
    assert peer.answers[bad].status[1].startswith("grpc: error unmarshalling request: ")
    text = "grpc: failed to unmarshal the received message unexpected EOF"
    assert peer.answers[stream].status == (INTERNAL, text)
    assert peer.answers[none].status == (UNKNOWN, "EOF")


@pytest.mark.parametrize(
    ("path", "code"),
    [(PUT, UNKNOWN), ("/v3lockpb.Lock/Lock", UNKNOWN), (KEEP_ALIVE, INTERNAL), (WATCH, INTERNAL)],
)
@pytest.mark.parametrize("data", [b"\0\0", b"\0\0\0\0\x0aab"])
@pytest.mark.parametrize("ends_later", [False, True])
def test_a_request_that_ends_within_a_message_is_refused(
    path: str, code: int, data: bytes, ends_later: bool
) -> None:
    @in_loop
    async def test() -> None:
        peer = Peer()
        stream = peer.begin(path)
        peer.send(stream, data, end=not ends_later)
        if ends_later:
            peer.send(stream, b"", end=True)
        await settle()
        assert peer.answers[stream].status == (code, "unexpected EOF")

    test()


@pytest.mark.parametrize("path", [PUT, "/v3lockpb.Lock/Lock", "/etcdserverpb.Maintenance/Status"])
def test_what_comes_after_the_request_of_a_call_is_not_looked_at(path: str) -> None:
    @in_loop
    async def test() -> None:
        peer = Peer()
        stream = peer.begin(path)
        message = framed(b"" if "Status" in path else b"\x0a\x01k")
        peer.send(stream, message * 2 + b"\0")
        peer.send(stream, message, end=True)
        await settle()
        assert len(peer.link.asked) == 1
        assert not peer.answers[stream].has_ended

    test()


@in_loop
async def test_a_call_whose_time_is_over_already_is_not_begun() -> None:
    peer = Peer()
    stream = peer.call(PUT, request(PUT, key=b"k"), grpc_timeout="0S")
    await settle()
    assert peer.answers[stream].status == (DEADLINE_EXCEEDED, "context deadline exceeded")
    assert not peer.link.asked


@in_loop
async def test_a_deadline_ends_the_call_and_a_late_answer_is_dropped() -> None:
    peer = Peer()
    stream = peer.call(PUT, request(PUT, key=b"k"), grpc_timeout="1m")
    watch = peer.begin(WATCH, ("grpc-timeout", "1m"))
    await peer.until(lambda: peer.answers[stream].has_ended and peer.answers[watch].has_ended)
    expected = (DEADLINE_EXCEEDED, "context deadline exceeded")
    assert peer.answers[stream].status == peer.answers[watch].status == expected
    assert peer.link.forgotten == [0]
    peer.link.answer(0)
    await settle()
    assert not peer.answers[stream].messages


@in_loop
async def test_a_malformed_deadline_is_refused() -> None:
    peer = Peer()
    stream = peer.call(PUT, grpc_timeout="soon")
    await settle()
    assert peer.answers[stream].status == (INTERNAL, 'malformed grpc-timeout: "soon"')


@in_loop
async def test_a_reset_call_is_forgotten() -> None:
    peer = Peer()
    peer.call(PUT, request(PUT, key=b"k"))
    stream = peer.call(PUT, request(PUT, key=b"l"))
    peer.h2.reset_stream(stream)
    peer.flush()
    assert peer.link.forgotten == [1]
    peer.link.answer(1)
    await settle()
    assert not peer.answers[stream].messages


@in_loop
async def test_a_call_that_requires_a_leader_fails_without_one() -> None:
    peer = Peer()
    stream = peer.call(PUT, request(PUT, key=b"k"), hasleader="true")
    peer.link.answer(0, leader=0)
    await settle()
    assert peer.answers[stream].status == (UNAVAILABLE, "etcdserver: no leader")
    assert [asked["op"] for asked in peer.link.asked] == ["status"]


@in_loop
async def test_a_watch_stream_sends_its_headers_with_its_first_answer_and_ends_with_trailers() -> (
    None
):
    peer = Peer()
    stream = peer.begin(WATCH)
    create = {"create_request": {"key": b"k"}}
    peer.send(stream, framed(request(WATCH, **create)) + framed(request(WATCH, **create)))
    (feed,) = peer.link.feeds
    assert [sent["op"] for sent in feed.sent] == ["watch_create"] * 2
    await settle()
    assert not peer.answers[stream].headers
    feed.says(id=feed.sent[0]["id"], watch_id=0, created=True)
    feed.on_end("gone")
    await settle()
    answer = peer.answers[stream]
    assert response(WATCH, answer.messages[0]).created
    assert answer.trailers == {"grpc-status": str(UNAVAILABLE), "grpc-message": "gone"}


@in_loop
async def test_a_slow_watcher_stops_the_reading_of_the_node_and_no_other_stream() -> None:
    peer = Peer()
    peer.reads = False
    stream = peer.begin(WATCH)
    peer.send(stream, framed(request(WATCH, create_request={"key": b"k"})))
    (feed,) = peer.link.feeds
    event = {"type": "PUT", "kv": {"key": b"k", "value": b"v" * 30_000}}
    told = 0
    while not feed.is_paused:
        feed.says(watch_id=0, events=(event,))
        told += 1
        await settle()
    assert told > 1
    peer.reads = True
    read = 65_535
    while feed.is_paused:
        peer.h2.increment_flow_control_window(read)
        peer.h2.increment_flow_control_window(read, stream)
        peer.flush()
        await settle()
    other = peer.call(PUT, request(PUT, key=b"k"))
    peer.link.answer(0)
    await settle()
    assert peer.answers[other].status == (0, "")


@in_loop
async def test_a_client_that_keeps_many_leases_alive_waits_by_its_window() -> None:
    peer = Peer()
    stream = peer.begin(KEEP_ALIVE)
    one = framed(request(KEEP_ALIVE, ID=1))
    window = peer.h2.local_flow_control_window(stream)
    peer.send(stream, one * (RENEWALS_MAX + 10))
    assert len(peer.link.asked) == RENEWALS_MAX
    await settle()
    # What the service has not taken is not given back.
    assert peer.h2.local_flow_control_window(stream) <= window - len(one) * 10
    for number in range(RENEWALS_MAX):
        peer.link.answer(number, ID=1, TTL=5)
    await settle()
    assert len(peer.link.asked) == RENEWALS_MAX + 10
    peer.send(stream, b"", end=True)
    for number in range(RENEWALS_MAX, RENEWALS_MAX + 10):
        peer.link.answer(number, ID=1, TTL=5)
    await settle()
    assert len(peer.answers[stream].messages) == RENEWALS_MAX + 10
    assert peer.answers[stream].status == (0, "")


@in_loop
async def test_while_the_transport_is_full_nothing_is_written_and_no_answer_is_read() -> None:
    peer = Peer()
    stream = peer.call(PUT, request(PUT, key=b"k"))
    peer.connection.pause_writing()
    assert peer.link.is_paused
    peer.link.answer(0)
    await settle()
    assert not peer.answers[stream].headers
    peer.connection.resume_writing()
    assert not peer.link.is_paused
    assert peer.answers[stream].has_ended


@in_loop
async def test_while_a_client_leaves_very_much_unread_no_answer_is_read_for_it() -> None:
    peer = Peer()
    peer.reads = False
    number = peer.call(PUT)
    http2 = peer.connection.http2
    answer = bytes(2 * CLOGGED_BYTES)
    http2.unary(http2._streams.open[number], RESPONSE_BLOCK, answer, OK_TRAILERS_BLOCK)
    peer.connection.write_soon()
    await settle()
    assert peer.link.is_paused
    peer.h2.reset_stream(number)
    peer.flush()
    assert not peer.link.is_paused


@in_loop
async def test_a_lost_connection_ends_its_calls_and_closes_the_link() -> None:
    peer = Peer()
    peer.call(PUT, request(PUT, key=b"k"))
    stream = peer.begin(WATCH)
    peer.send(stream, framed(request(WATCH, create_request={"key": b"k"})))
    peer.connection.connection_lost(None)
    assert peer.link.forgotten == [0]
    assert peer.link.feeds[0].is_closed
    assert peer.link.is_closed


@in_loop
async def test_a_lost_connection_keeps_its_link_until_a_lock_is_taken_back() -> None:
    peer = Peer()
    lock = "/v3lockpb.Lock/Lock"
    peer.call(lock, request(lock, name=b"n", lease=5))
    await settle()
    peer.connection.connection_lost(None)
    await settle()
    assert not peer.link.is_closed
    peer.link.answer(0, succeeded=True, responses=())
    await settle()
    undo = peer.link.asked[1]
    assert undo["success"] == [{"request_delete_range": {"key": b"n/5"}}]
    assert not peer.link.is_closed
    peer.link.answer(1, succeeded=True, responses=())
    await settle()
    assert peer.link.is_closed


@in_loop
async def test_a_connection_of_a_front_that_ends_says_goodbye_and_ends_what_is_under_way() -> None:
    peer = Peer()
    stream = peer.call(PUT, request(PUT, key=b"k"))
    await settle()
    peer.listen()
    peer.connection.go_away()
    await settle()
    assert peer.frames is not None
    goodbyes = [frame for frame in peer.frames if isinstance(frame, GoAwayFrame)]
    assert [goodbye.error_code for goodbye in goodbyes] == [0, 0]
    assert goodbyes[-1].last_stream_id == stream
    assert not peer.transport.is_closed
    peer.link.answer(0)
    await settle()
    assert isinstance(peer.frames[-1], HeadersFrame), "the trailers"
    assert peer.transport.is_closed


def test_a_connection_whose_client_answers_no_ping_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cluster.etcd.http2.connection.GOAWAY_GRACE_MS", 1)

    @in_loop
    async def test() -> None:
        peer = Peer()
        await settle()
        peer.listen(answers_pings=False)
        peer.connection.go_away()
        await peer.until(lambda: peer.transport.is_closed)

    test()


@in_loop
async def test_calls_and_messages_are_counted() -> None:
    peer = Peer()
    path = PUT.encode()
    data = request(PUT, key=b"k")
    peer.call(PUT, data)
    peer.call(PUT, data)
    peer.link.answer(0)
    peer.link.refuse(1, NOT_FOUND, "no")
    await settle()
    counters = peer.counters
    assert (counters.started[path], counters.received[path], counters.sent[path]) == (2, 2, 1)
    assert counters.handled[path, 0] == counters.handled[path, NOT_FOUND] == 1
    assert counters.received_bytes == 2 * len(data)


@in_loop
async def test_an_answer_for_which_there_is_no_memory_is_counted_once() -> None:
    peer = Peer()
    stream = peer.call(PUT, request(PUT, key=b"k"))
    memory = peer.server.memory
    memory.used, memory.share_bytes = memory.bytes_max + 1, 0
    peer.link.answer(0)
    await settle()
    assert peer.answers[stream].reset_code == ENHANCE_YOUR_CALM
    assert dict(peer.counters.handled) == {(PUT.encode(), CANCELED): 1}


PING = PingFrame(0, b"12345678").serialize()


@in_loop
async def test_a_ping_is_answered_in_one_piece_with_the_request_beside_it() -> None:
    peer = Peer()
    peer.call(PUT, request(PUT, key=b"k"))
    peer.listen(answers_pings=False)
    peer.connection.data_received(PING)
    await settle()
    assert peer.frames == []
    peer.link.answer(0)
    await settle()
    assert peer.frames is not None
    assert [type(each) for each in peer.frames] == [
        PingFrame,
        HeadersFrame,
        DataFrame,
        HeadersFrame,
    ]


@in_loop
async def test_a_ping_waits_for_no_slow_request_and_for_none_that_is_not_there() -> None:
    peer = Peer()
    peer.listen(answers_pings=False)
    peer.connection.data_received(PING)
    assert [type(each) for each in peer.frames or ()] == [PingFrame]
    peer = Peer()
    peer.call(PUT, request(PUT, key=b"k"))
    peer.listen(answers_pings=False)
    peer.connection.data_received(PING)
    await peer.until(lambda: peer.frames)
    assert [type(each) for each in peer.frames or ()] == [PingFrame]
