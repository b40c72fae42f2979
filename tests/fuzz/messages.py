"""Messages and bytes of ZMTP: what comes in how many frames, and handshakes that are none.

Knows the wire protocol; what is in a frame comes from elsewhere.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random
from typing import Final

from tests.chaos.hostile.zmtp import GREETING, endless, frame, message, ready, version_1

Bytes = bytes
Payload = Callable[[Random], bytes]

HTTP: Final = b'POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"key":1}'
FRAMES_MAX: Final = 20_000
TOO_LARGE: Final = 3 * 1024 * 1024


def request_message(chance: Random, payload: Payload) -> Bytes:
    """A message with a payload, as a DEALER, a REQ or a proxy would send it."""
    before = chance.choice(([], [], [b""], [b"", b""], [b"proxy", b""], [b"x"], [b"\0" * 300, b""]))
    return message(*before, payload(chance))


def odd_message(chance: Random, payload: Payload) -> Bytes:
    """Frames that are no request's."""
    match chance.randrange(6):
        case 0:
            return message(*[payload(chance)[:100]] * chance.randrange(1, 80))
        case 1:
            return message(*[b"x"] * chance.randrange(1, FRAMES_MAX))
        case 2:
            return endless(*[payload(chance)[:1_000]] * chance.randrange(1, 100))
        case 3:
            return message(b"")
        case 4:
            return message(*[bytes(chance.randrange(70_000))] * chance.randrange(1, 20))
        case _:
            return message(bytes(TOO_LARGE))


def odd_frames(chance: Random, payload: Payload) -> Bytes:
    """Behind a handshake: heads, flags, lengths and commands as nobody sends them."""
    body = payload(chance)[:200]
    match chance.randrange(7):
        case 0:
            return frame(body, chance.randrange(256))
        case 1:
            return struct.pack(">BQ", 2, chance.choice((0, 2**31, 2**63, 2**64 - 1))) + body
        case 2:
            return frame(b"\x04PING" + chance.randbytes(chance.randrange(40)), 4)
        case 3:
            return frame(b"\x04PONG" + chance.randbytes(chance.randrange(40)), 4)
        case 4:
            return frame(chance.choice((b"\x09SUBSCRIBE", b"\x05READY", b"\x05ERROR", b"\xff")), 4)
        case 5:
            return frame(b"", 5) + frame(body)
        case _:
            return chance.randbytes(chance.randrange(2_000))


def odd_handshake(chance: Random, payload: Payload) -> Bytes:
    """What begins otherwise than a client of ZMTP 3 does, or breaks off."""
    match chance.randrange(9):
        case 0:
            return chance.randbytes(chance.randrange(1, 2_000))
        case 1:
            return HTTP
        case 2:
            return version_1(payload(chance)[:1_000])
        case 3:
            spoiled = bytearray(GREETING)
            spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
            return bytes(spoiled) + ready(b"DEALER") + message(payload(chance)[:1_000])
        case 4:
            return GREETING[: chance.randrange(len(GREETING))]
        case 5:
            kind = chance.choice((b"PUB", b"ROUTER", b"REQ", b"PUSH", b"", b"x" * 300, b"\0"))
            return GREETING + ready(kind) + message(payload(chance)[:1_000])
        case 6:
            name = chance.choice(
                (b"\0", b"\0\0\0\0\1", chance.randbytes(5), b"n" * 255, b"n" * 256)
            )
            return GREETING + ready(b"DEALER", name) + message(payload(chance)[:1_000])
        case 7:
            meta = b"\x0bSocket-Type" + struct.pack(">I", chance.getrandbits(32)) + b"DEALER"
            return GREETING + frame(b"\x05READY" + meta, 4)
        case _:
            return GREETING + frame(b"\x05READY" + bytes(chance.randrange(300_000)), 4)
