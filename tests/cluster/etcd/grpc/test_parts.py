"""Messages, headers and deadlines."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.etcd.grpc.deadlines import SLOT_MS, Deadlines
from cluster.etcd.grpc.headers import is_grpc, timeout_ms
from cluster.etcd.grpc.messages import MessageSplitter, framed, whole
from cluster.etcd.grpc.server import unknown
from cluster.etcd.rpc.status import RpcError
from cluster.faults import INTERNAL, RESOURCE_EXHAUSTED


@given(st.lists(st.binary(max_size=40)), st.lists(st.integers(1, 30)))
def test_messages_come_out_as_they_went_in_however_they_are_cut(
    messages: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(framed(message) for message in messages)
    splitter = MessageSplitter(40, b"")
    found = []
    while data:
        size = cuts.pop() if cuts else len(data)
        splitter.feed(data[:size])
        data = data[size:]
        while (message := splitter.next()) is not None:
            found.append(message)
    assert found == messages


@given(st.binary(max_size=40), st.binary(max_size=10))
def test_whole_takes_exactly_one_message(message: bytes, more: bytes) -> None:
    data = framed(message)
    assert whole(data) == message
    assert (whole(data + more) == message) is not bool(more)
    assert whole(data[:-1]) is None
    assert whole(b"\1" + data[1:]) is None


@pytest.mark.parametrize(
    ("data", "encoding", "code", "text"),
    [
        (
            b"\0" + (11).to_bytes(4, "big"),
            b"",
            RESOURCE_EXHAUSTED,
            "grpc: received message larger than max (11 vs. 10)",
        ),
        (
            b"\1\0\0\0\0",
            b"identity",
            INTERNAL,
            "grpc: compressed flag set with identity or empty encoding",
        ),
        (b"\7\0\0\0\0", b"", INTERNAL, "grpc: received unexpected payload format 7"),
    ],
)
def test_what_is_no_message_is_refused_in_the_words_of_grpc(
    data: bytes, encoding: bytes, code: int, text: str
) -> None:
    splitter = MessageSplitter(10, encoding)
    splitter.feed(data)
    with pytest.raises(RpcError) as refused:
        splitter.next()
    assert (refused.value.code, refused.value.message) == (code, text)


def compressed(data: bytes) -> bytes:
    return b"\1" + framed(gzip.compress(data))[1:]


def test_gzip_is_undone_and_no_more_than_a_message_may_have_is_made() -> None:
    splitter = MessageSplitter(100, b"gzip")
    splitter.feed(compressed(b"v" * 100) + framed(b"plain") + compressed(b"v" * 10_000))
    assert splitter.next() == b"v" * 100
    assert splitter.next() == b"plain"
    with pytest.raises(RpcError, match=r"larger than max \(101 vs. 100\)"):
        splitter.next()


def test_gzip_that_is_cut_or_damaged_is_refused() -> None:
    whole_message = gzip.compress(b"v" * 50)
    for bad in (whole_message[:-1], b"x" + whole_message[1:]):
        splitter = MessageSplitter(100, b"gzip")
        splitter.feed(b"\1" + framed(bad)[1:])
        with pytest.raises(RpcError, match="failed to decompress"):
            splitter.next()


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        (b"1H", 3_600_000),
        (b"2M", 120_000),
        (b"3S", 3_000),
        (b"99999999m", 99_999_999),
        (b"1500u", 1.5),
        (b"2000000n", 2),
        (b"0S", 0),
        (b"", None),
        (b"S", None),
        (b"5", None),
        (b"5x", None),
        (b"-5S", None),
        (b"123456789S", None),
    ],
)
def test_timeouts_have_a_number_and_a_unit(value: bytes, milliseconds: float | None) -> None:
    found = timeout_ms(value)
    assert found == (None if milliseconds is None else pytest.approx(milliseconds))


def test_content_types_of_grpc() -> None:
    assert is_grpc(b"application/grpc")
    assert is_grpc(b"application/grpc+proto")
    assert is_grpc(b"application/grpc;charset=utf-8")
    assert not is_grpc(b"application/grpc-web")
    assert not is_grpc(b"application/json")


def test_unknown_paths_in_the_words_of_grpc() -> None:
    assert unknown(b"/a.B/C").message == "unknown service a.B"
    assert unknown(b"/etcdserverpb.KV/C").message == "unknown method C for service etcdserverpb.KV"
    assert unknown(b"/C").message == 'malformed method name: "/C"'
    assert unknown(b"/grpc.reflection.v1.ServerReflection/X").message.startswith("unknown service")


def test_a_deadline_is_never_early_and_at_most_a_slot_late() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for at_ms in (1_000, 1_001, 1_009.5, 1_010):
        deadlines.add(f"{at_ms}", at_ms)
    ended = {call: now for now in range(900, 1_100) for call in deadlines.due(now)}
    assert len(ended) == 4
    for call, now in ended.items():
        assert 0 <= now - float(call) <= SLOT_MS
    assert deadlines.next_ms is None


def test_a_call_that_has_ended_has_no_deadline() -> None:
    deadlines: Deadlines[str] = Deadlines()
    slot = deadlines.add("a", 1_000)
    deadlines.add("b", 2_000)
    deadlines.remove("a", slot)
    assert deadlines.next_ms is not None
    assert deadlines.next_ms > 2_000
    assert deadlines.due(1_500) == []
    assert deadlines.due(3_000) == ["b"]
