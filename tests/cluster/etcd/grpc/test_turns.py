"""What one client may cost the loop in a turn: bytes are read in pieces, calls leave no garbage."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest

from cluster.etcd.counters import RpcCounters
from cluster.etcd.grpc.calls import GrpcCall
from cluster.etcd.grpc.server import PIECE_BYTES, GrpcConnection, GrpcServer
from cluster.etcd.rpc.mapping import ResponseEncoder
from tests.cluster.etcd.grpc.peer import Peer
from tests.cluster.etcd.grpc.test_connection import KEEP_ALIVE, PUT, WATCH, in_loop, request
from tests.cluster.etcd.loops import run, until
from tests.cluster.etcd.services.probe import ProbeLink, settle


@in_loop
async def test_an_ended_call_is_gone_without_the_collector() -> None:
    """Ten thousand that end at once, as streams of watches, would be a tenth of a second of it."""
    gc.collect()
    gc.disable()
    try:
        peer = Peer()
        answered = peer.call(PUT, request(PUT, key=b"k"))
        peer.link.answer(0)
        ended = [peer.begin(path) for path in (PUT, WATCH, KEEP_ALIVE)]
        await settle()
        for stream in ended:
            peer.h2.reset_stream(stream)
        peer.flush()
        await settle()
        assert peer.answers[answered].has_ended
        assert not [each for each in gc.get_objects() if isinstance(each, GrpcCall)]
    finally:
        gc.enable()


@in_loop
async def test_answers_that_come_together_are_written_together() -> None:
    peer = Peer()
    streams = [peer.call(PUT, request(PUT, key=b"k")) for _ in range(3)]
    await settle()
    peer.link.is_reading = True
    for number in range(3):
        peer.link.answer(number)
    await settle()
    assert not any(peer.answers[stream].has_ended for stream in streams)
    peer.link.is_reading = False
    peer.link.on_read()
    assert all(peer.answers[stream].has_ended for stream in streams)


class Recording(GrpcConnection):
    """A connection that only notes in which turn of the loop it got how many bytes."""

    def __init__(self, server: GrpcServer) -> None:
        super().__init__(server, ProbeLink())
        self.turn = 0
        self.pieces: list[tuple[int, int]] = []
        self._next_turn()

    def _next_turn(self) -> None:
        self.turn += 1
        self._counting = asyncio.get_running_loop().call_soon(self._next_turn)

    def data_received(self, data: bytes) -> None:
        self.pieces.append((self.turn, len(data)))

    def connection_lost(self, error: Exception | None) -> None:
        self._counting.cancel()


@pytest.mark.usefixtures("each_loop")
def test_others_have_their_turn_between_two_pieces_of_a_flood() -> None:
    """Also in a loop that would read on for as long as there is something to read."""

    async def test() -> None:
        server = GrpcServer(ResponseEncoder(7, 1), RpcCounters(), 1_000)
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        sent = theirs.send(bytes(4 * PIECE_BYTES))
        assert sent > 2 * PIECE_BYTES, "it comes in several pieces"
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Recording(server), sock=ours)
        await until(lambda: sum(size for _, size in connection.pieces) == sent)
        theirs.close()
        assert max(size for _, size in connection.pieces) == PIECE_BYTES
        turns = [turn for turn, _ in connection.pieces]
        assert len(turns) == len(set(turns))

    run(test)
