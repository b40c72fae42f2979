"""The client's side of ZMTP without a socket: pieces of any size, and peers that are wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.etcd.link.zmtp import (
    COMMAND_BYTES_MAX,
    GREETING_BYTES,
    SHORT_BYTES_MAX,
    Dealer,
    ZmtpError,
    frame,
    opening,
)

FRAME_BYTES_MAX = 100_000
GREETING = (b"\xff\0\0\0\0\0\0\0\0\x7f\x03\x00NULL".ljust(32, b"\0") + b"\x01").ljust(64, b"\0")
READY = b"\x04\x29\x05READY\x0bSocket-Type\0\0\0\x06ROUTER\x08Identity\0\0\0\0"
PING = b"\x04\x0b\x04PING\0\x0aroom"
"""With a TTL of one second and the context `room`."""


def ready() -> Dealer:
    dealer = Dealer(FRAME_BYTES_MAX)
    assert dealer.receive(GREETING + READY) == []
    assert dealer.is_ready
    return dealer


def test_the_opening_is_a_greeting_and_an_introduction_as_a_dealer() -> None:
    sent = opening()
    assert sent[:12] == b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01"
    assert sent[12:32] == b"NULL".ljust(20, b"\0")
    assert sent[32:GREETING_BYTES] == bytes(32)  # not the server, and a filler
    assert sent[GREETING_BYTES:].startswith(b"\x04\x29\x05READY\x0bSocket-Type\0\0\0\x06DEALER")
    assert len(sent) == GREETING_BYTES + 2 + 0x29


@pytest.mark.parametrize("size", [0, 1, SHORT_BYTES_MAX, SHORT_BYTES_MAX + 1, FRAME_BYTES_MAX])
def test_a_frame_comes_back_whole(size: int) -> None:
    payload = bytes(range(256)) * (size // 256 + 1)
    assert ready().receive(frame(payload[:size])) == [payload[:size]]


@given(st.lists(st.binary(max_size=600), max_size=12), st.data())
def test_pieces_of_any_size_give_the_same_messages(
    payloads: list[bytes], data: st.DataObject
) -> None:
    stream = GREETING + READY
    for number, payload in enumerate(payloads):
        stream += frame(payload) + (PING if number % 3 == 0 else b"")
    dealer = Dealer(FRAME_BYTES_MAX)
    found, at = [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, 300))
        found += dealer.receive(stream[at : at + size])
        at += size
    assert found == payloads
    assert dealer.to_send.count(b"\x04\x09\x04PONGroom") == len(range(0, len(payloads), 3))


def test_a_heartbeat_is_answered_with_its_context() -> None:
    dealer = ready()
    dealer.receive(PING)
    assert dealer.to_send == b"\x04\x09\x04PONGroom"


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        (b"HTTP/1.1 400", "does not speak ZMTP"),
        (b"\xff\0\0\0\0\0\0\0\x01\x00", "does not speak ZMTP"),
        (GREETING[:10] + b"\x01", "does not speak ZMTP 3"),
        (GREETING.replace(b"NULL", b"CURV"), "another security mechanism"),
        (GREETING + frame(b"early"), "before the peer is ready"),
        (GREETING + READY.replace(b"ROUTER", b"DEALER"), "not a ROUTER"),
        (GREETING + b"\x04\x0c\x05ERROR\x05go on", "refuses: go on"),
        (GREETING + READY + b"\x01\x01a", "several frames"),
        (GREETING + READY + b"\x08\x01a", "flags 0x08"),
        (GREETING + READY + b"\x05\x01a", "flags 0x05"),
        (GREETING + READY + b"\x02" + (FRAME_BYTES_MAX + 1).to_bytes(8, "big"), "100001 bytes"),
        (GREETING + b"\x06" + (COMMAND_BYTES_MAX + 1).to_bytes(8, "big"), "1025 bytes"),
    ],
)
def test_a_peer_that_breaks_the_protocol_is_told_apart(sent: bytes, fault: str) -> None:
    with pytest.raises(ZmtpError, match=fault):
        Dealer(FRAME_BYTES_MAX).receive(sent)
    # One byte at a time it is the same, and no memory is used for what a header only promises.
    dealer = Dealer(FRAME_BYTES_MAX)
    with pytest.raises(ZmtpError, match=fault):
        for byte in sent.ljust(GREETING_BYTES, b"\0"):
            dealer.receive(bytes([byte]))


@given(st.binary(max_size=400))
def test_no_bytes_of_a_peer_raise_anything_else(noise: bytes) -> None:
    for stream in (noise, GREETING + noise, GREETING + READY + noise):
        dealer = Dealer(FRAME_BYTES_MAX)
        try:
            dealer.receive(stream)
        except ZmtpError:
            continue


def test_unknown_commands_are_left_alone() -> None:
    dealer = ready()
    assert dealer.receive(b"\x04\x04\x03NEW" + b"\x04\x00" + frame(b"a")) == [b"a"]
    assert dealer.to_send == b""
