"""The same bytes to the engine and to `hpack` and `h2`: seeded, and short enough for each run.

`python -m tests.cluster.etcd.http2.test_differential FIRST COUNT` looks at more seeds.
"""

from __future__ import annotations

import sys
from random import Random
from typing import Final

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import pytest
from hpack import Decoder as Judge
from hpack import Encoder, HPACKError

from cluster.etcd.http2 import LIMITS
from cluster.etcd.http2.codes import Http2Error
from cluster.etcd.http2.headers import Decoder
from cluster.etcd.http2.limits import HEADER_LIST_BYTES_MAX
from tests.cluster.etcd.http2.raw import (
    FIELDS,
    PREFACE,
    Peer,
    continuation,
    data,
    frame,
    headers,
    parsed,
    ping,
    rst_stream,
    settings,
    verdict,
    window_update,
)

SEEDS: Final = 40
BLOCKS: Final = 12
"""Header blocks of one seed, read one behind the other with the same table."""

NAMES: Final = ("a", "grpc-timeout", "user-agent", ":path", "x" * 40, "content-type", "te")
VALUES: Final = ("", "1", "4994455u", "trailers", "y" * 90, "z" * 1_500, "\0\xff")


# --- header blocks --------------------------------------------------------------------------------


def any_block(random: Random, encoder: Encoder) -> bytes:
    """A block of a true encoder with its table, or one that is damaged, or any bytes."""
    way = random.random()
    if way < 0.1:
        return random.randbytes(random.randrange(12))
    if random.random() < 0.1:
        encoder.header_table_size = random.choice((0, 40, 100, 1_000, 4_096))
    fields = [
        (random.choice(NAMES), random.choice(VALUES), random.random() < 0.2)
        for _ in range(random.randrange(8))
    ]
    block = bytearray(encoder.encode(fields, huffman=random.random() < 0.5))
    if way < 0.3 and block:
        block[random.randrange(len(block))] = random.randrange(256)
    return bytes(block)


def refuses(decoder: Decoder, block: bytes) -> bool:
    """Whether the engine takes no request from a block."""
    try:
        decoder.decode(block)
    except Http2Error:
        return True
    return decoder.is_oversized


def same_blocks(seed: int) -> None:
    """Both read each block alike, until both refuse one."""
    random = Random(seed)
    encoder, ours, theirs = Encoder(), Decoder(HEADER_LIST_BYTES_MAX), Judge(HEADER_LIST_BYTES_MAX)
    for _ in range(BLOCKS):
        block = any_block(random, encoder)
        try:
            expected = [tuple(field) for field in theirs.decode(block, raw=True)]
        except HPACKError:
            assert refuses(ours, block), f"seed {seed}"
            return
        assert [entry[0] for entry in ours.decode(block)] == expected, f"seed {seed}"
        table = [entry[0] for entry in reversed(ours._dynamic)]
        assert table == list(theirs.header_table.dynamic_entries), f"seed {seed}"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_header_blocks_are_read_as_hpack_reads_them(seed: int) -> None:
    for each in range(seed * 10, seed * 10 + 10):
        same_blocks(each)


# --- frames ---------------------------------------------------------------------------------------


class Judged:
    """What h2 as a server makes of a byte stream."""

    def __init__(self) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding=None)
        self.server = h2.connection.H2Connection(config)
        self.server.initiate_connection()
        self.server.increment_flow_control_window(LIMITS.connection_window_bytes - 65_535)
        self.bodies: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.reset: set[int] = set()

    def receive(self, sent: bytes) -> list[tuple[str, int, int]]:
        """The errors that h2 answers with."""
        try:
            events = self.server.receive_data(sent)
        except h2.exceptions.ProtocolError:
            events = []
        for event in events:
            if isinstance(event, h2.events.RequestReceived):
                self.bodies[event.stream_id or 0] = b""
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id or 0] += event.data or b""
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(event.stream_id or 0)
            elif isinstance(event, h2.events.StreamReset):
                self.reset.add(event.stream_id or 0)
        return verdict(parsed(self.server.data_to_send()))


def any_frame(random: Random, number: int) -> bytes:
    """A frame that a client may send, or one that it may not."""
    return random.choice(
        (
            lambda: headers(number | 1),
            lambda: headers(number | 1, None, "END_HEADERS", "END_STREAM"),
            lambda: headers(number | 1, [("x-checksum", "1")], "END_HEADERS", "END_STREAM"),
            lambda: headers(number | 1, None, "END_STREAM"),
            lambda: continuation(number | 1, b"", "END_HEADERS"),
            lambda: data(number | 1, random.randbytes(random.randrange(40))),
            lambda: data(number | 1, b"last", "END_STREAM"),
            lambda: rst_stream(number | 1),
            lambda: window_update(random.choice((0, number | 1)), random.randrange(1, 1 << 20)),
            lambda: settings({random.randrange(1, 8): random.choice((0, 1, 20_000, 1 << 31))}),
            ping,
            lambda: frame(2, 0, number | 1, b"\0\0\0\0\x10"),
            lambda: frame(random.randrange(12), random.randrange(256), number, b""),
            lambda: headers(number | 1, [*FIELDS, (random.choice(NAMES), random.choice("1\0A"))]),
        )
    )()


RST_STREAM: Final = 3
ALTSVC: Final = 10
DIFFERENT: Final = {RST_STREAM, ALTSVC}
"""Kinds that only one side may refuse: h2 takes a reset of an idle stream, which RFC 9113 forbids
in 5.1, and knows a kind of frame that is not in RFC 9113."""


def same_frames(seed: int) -> None:
    """Both refuse the same frame; until then, both see the same requests, bodies and ends.

    How they refuse may differ: h2 ends the connection for a malformed request, where RFC 9113 has
    the stream end (8.1.1), and gives other codes where two rules are broken at once.
    """
    random = Random(seed)
    peer, judged = Peer(opens=False), Judged()
    peer.handler.answers = False
    sent = [PREFACE + settings()]
    sent += [any_frame(random, random.choice((1, 3, 5, 7))) for _ in range(random.randrange(1, 12))]
    for part in sent:
        ours, theirs = verdict(peer.send(part)), judged.receive(part)
        if ours or theirs:
            assert (ours and theirs) or part[3] in DIFFERENT, f"seed {seed}: {part.hex()}"
            return
    assert {stream.id: bytes(stream.context) for stream in peer.handler.requests} == judged.bodies
    assert {stream.id for stream in peer.handler.requests if stream.ended} == judged.ended
    assert {number for number, _ in peer.handler.resets} == judged.reset


@pytest.mark.parametrize("seed", range(SEEDS))
def test_frames_are_understood_as_h2_understands_them(seed: int) -> None:
    for each in range(seed * 10, seed * 10 + 10):
        same_frames(each)


if __name__ == "__main__":
    first, count = map(int, sys.argv[1:])
    for number in range(first, first + count):
        same_blocks(number)
        same_frames(number)
