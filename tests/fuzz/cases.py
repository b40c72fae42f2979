"""The cases: each is bytes for one connection, and whether they have to be answered."""

from __future__ import annotations

from random import Random
from typing import Final, NamedTuple

from tests.fuzz.messages import odd_frames, odd_handshake, odd_message, request_message
from tests.fuzz.requests import request
from tests.fuzz.values import STRUCTURES

BATCH_MAX: Final = 5


class Case(NamedTuple):
    """What is sent on a connection of its own.

    With `handshake` the node's own comes first. `answers`: so many replies come, or the connection
    ends.
    """

    kind: str
    handshake: bool
    data: bytes
    answers: int


def case_of(seed: str, number: int) -> Case:
    """The same for the same seed and number."""
    chance = Random(f"{seed}/{number}")
    match chance.randrange(10):
        case 0 | 1 | 2 | 3 | 4:
            count = chance.randrange(1, BATCH_MAX)
            data = b"".join(request_message(chance, request) for _ in range(count))
            return Case("requests", True, data, count)
        case 5 | 6:
            return Case("structures", True, request_message(chance, _structure), 1)
        case 7:
            return Case("frames", True, odd_message(chance, request), 0)
        case 8:
            return Case("commands", True, odd_frames(chance, request), 0)
        case _:
            return Case("handshakes", False, odd_handshake(chance, request), 0)


def _structure(chance: Random) -> bytes:
    return chance.choice(STRUCTURES)(chance)
