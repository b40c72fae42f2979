"""The handshake of a ZeroMQ client inside TLS, translated for a node whose clients have keys."""

from __future__ import annotations

import pytest

from cluster.etcd.link.translating import HANDSHAKE_BYTES_MAX, TranslatedHandshake
from cluster.etcd.link.zmtp import ZmtpError, command, frame, opening

SIGNATURE = b"\xff\0\0\0\0\0\0\0\x01\x7f"
PROPERTIES = b"\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0"
WELCOME = command(b"\x07WELCOME")
READY = command(b"\x05READY\x0bSocket-Type\0\0\0\x06ROUTER")


def greeting(mechanism: bytes, as_server: bytes = b"\0") -> bytes:
    return (SIGNATURE + b"\x03\x01" + mechanism.ljust(20, b"\0") + as_server).ljust(64, b"\0")


CLIENT = greeting(b"NULL") + command(b"\x05READY" + PROPERTIES)
NODE = greeting(b"PLAIN", b"\x01") + WELCOME


@pytest.mark.parametrize("size", [1, 7, 10, 64, 1000])
@pytest.mark.parametrize("node_is_first", [False, True])
def test_both_sides_hear_their_own_handshake_in_whatever_pieces(
    size: int, node_is_first: bool
) -> None:
    made = TranslatedHandshake("secret")
    for_node, for_client = b"", b""
    of_client = [CLIENT[at : at + size] for at in range(0, len(CLIENT), size)]
    of_node = [NODE[at : at + size] for at in range(0, len(NODE), size)]
    for each in of_client if not node_is_first else ():
        for_node += made.client_says(each)
    assert for_node == b"", "nothing is said to a node that has not welcomed the front"
    for each in of_node:
        to_client, to_node = made.node_says(each)
        for_client, for_node = for_client + to_client, for_node + to_node
    for each in of_client if node_is_first else ():
        for_node += made.client_says(each)
    assert for_node == command(b"\x08INITIATE" + PROPERTIES)
    assert for_client == greeting(b"NULL")
    assert made.is_over
    assert made.node_says(READY) == (READY, b"")
    assert made.client_says(frame(b"put")) == frame(b"put")


def test_the_node_hears_the_password_first() -> None:
    assert TranslatedHandshake("secret").opening == opening("secret")


def test_what_the_node_says_behind_its_welcome_is_passed_on() -> None:
    made = TranslatedHandshake("secret")
    made.client_says(CLIENT)
    assert made.node_says(NODE + READY) == (
        greeting(b"NULL") + READY,
        command(b"\x08INITIATE" + PROPERTIES),
    )


def test_a_refusal_reaches_the_client() -> None:
    made = TranslatedHandshake("wrong")
    made.client_says(CLIENT)
    refusal = command(b"\x05ERROR\x03400")
    assert made.node_says(greeting(b"PLAIN", b"\x01") + refusal) == (
        greeting(b"NULL") + refusal,
        b"",
    )


@pytest.mark.parametrize(
    "said",
    [
        greeting(b"CURVE") + command(b"\x05READY" + PROPERTIES),
        SIGNATURE + b"\x01" + CLIENT[11:],
        greeting(b"NULL") + frame(b"put"),
        greeting(b"NULL") + command(b"\x05HELLO"),
        greeting(b"NULL") + b"\x06" + b"\xff" * 8,
    ],
)
def test_another_handshake_ends_the_connection(said: bytes) -> None:
    made = TranslatedHandshake("secret")
    made.node_says(NODE)
    with pytest.raises(ZmtpError):
        made.client_says(said)


def test_who_does_not_wait_for_its_turn_is_ended() -> None:
    made = TranslatedHandshake("secret")
    with pytest.raises(ZmtpError):
        made.client_says(CLIENT + bytes(HANDSHAKE_BYTES_MAX))
