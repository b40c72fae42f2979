"""The cases: each is bytes for one connection, and whether they have to be answered."""

from __future__ import annotations

from random import Random
from typing import Final, NamedTuple

from tests.chaos.hostile.zmtp import message
from tests.fuzz.messages import odd_frames, odd_handshake, odd_message, request_message
from tests.fuzz.peers import Facts, peer_frame
from tests.fuzz.requests import batch, request
from tests.fuzz.values import STRUCTURES

BATCH_MAX: Final = 5


class Case(NamedTuple):
    """What is sent on a connection of its own.

    `socket` is what it says to be in the handshake; empty: there is none. A PUSH is at the peer
    port. `answers`: so many replies come, or the connection ends.
    """

    kind: str
    socket: bytes
    data: bytes
    answers: int


def case_of(seed: str, number: int, facts: Facts) -> Case:
    """The same for the same seed, number and facts."""
    chance = Random(f"{seed}/{number}")
    match chance.randrange(13):
        case 0 | 1 | 2 | 3 | 4:
            count = chance.randrange(1, BATCH_MAX)
            data = b"".join(request_message(chance, request) for _ in range(count))
            return Case("requests", b"DEALER", data, count)
        case 5 | 6:
            return Case("structures", b"DEALER", request_message(chance, _structure), 1)
        case 7:
            return Case("frames", b"DEALER", odd_message(chance, request), 0)
        case 8:
            return Case("commands", b"DEALER", odd_frames(chance, request), 0)
        case 9:
            return Case("batches", b"DEALER", request_message(chance, batch), 1)
        case 10 | 11:
            frames = [peer_frame(chance, facts) for _ in range(chance.randrange(1, BATCH_MAX))]
            return Case("peers", b"PUSH", b"".join(map(message, frames)), 0)
        case _:
            return Case("handshakes", b"", odd_handshake(chance, request), 0)


def _structure(chance: Random) -> bytes:
    return chance.choice(STRUCTURES)(chance)
