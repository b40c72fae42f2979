"""Values and msgpack bytes at the edges of what a decoder has to expect.

Knows msgpack's encoding, which it also breaks; nothing of operations or frames.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random
from typing import Any, Final

import msgpack

EDGES: Final = (0, 1, -1, 127, 128, 255, 256, 2**31, 2**32, -(2**31), 2**63 - 1, 2**63, 2**64 - 1)
LEAST: Final = -(2**63)
FLOATS: Final = (0.0, -0.0, 1.5, 1e308, -1e308, float("inf"), float("-inf"), float("nan"))
SIZES: Final = (0, 1, 31, 32, 255, 256, 4_096, 65_535, 65_536)
LARGE_BYTES: Final = 1_400_000
MANY: Final = 200_000
DEEP: Final = 2_000

Packed = bytes


def scalar(chance: Random) -> Any:
    """A value that is no array and no map."""
    match chance.randrange(8):
        case 0:
            return None
        case 1:
            return chance.random() < 0.5
        case 2 | 3:
            return chance.choice((*EDGES, LEAST, chance.getrandbits(63)))
        case 4:
            return chance.choice(FLOATS)
        case 5:
            return blob(chance)
        case 6:
            return "".join(chance.choice("aé\0\U0001f600 ") for _ in range(chance.randrange(40)))
        case _:
            return msgpack.ExtType(chance.randrange(128), chance.randbytes(chance.randrange(20)))


def blob(chance: Random) -> bytes:
    """Bytes of a size at which encodings change."""
    return chance.randbytes(1) * chance.choice(SIZES)


def tree(chance: Random, depth: int = 3) -> Any:
    """A value of some depth; keys of maps are of any kind that can be one."""
    if depth == 0 or chance.random() < 0.5:
        return scalar(chance)
    count = chance.randrange(5)
    if chance.random() < 0.5:
        return [tree(chance, depth - 1) for _ in range(count)]
    keys = [chance.choice(("key", "id", "op", b"key", 1, None, -1, True)) for _ in range(count)]
    return {key: tree(chance, depth - 1) for key in keys}


def pack(value: Any) -> Packed:
    """As a client's library would encode it; what msgpack cannot encode is nil."""
    try:
        packed: bytes = msgpack.packb(value)
    except (OverflowError, ValueError, UnicodeEncodeError):
        return b"\xc0"
    return packed


def array(count: int) -> Packed:
    """The head of an array that says it has so many items."""
    return b"\xdd" + struct.pack(">I", count)


def table(count: int) -> Packed:
    """The head of a map that says it has so many pairs."""
    return b"\xdf" + struct.pack(">I", count)


def colliding(chance: Random) -> Packed:
    """A map whose keys are arrays with few hashes."""
    count = chance.randrange(1, 12_000)
    rows = [b"\x9f" + bytes(chance.choice(b"\xff\xfe") for _ in range(15)) for _ in range(count)]
    return table(count) + b"\xc0".join(rows) + b"\xc0"


def _wide(chance: Random) -> Packed:
    count = chance.randrange(1, MANY)
    return array(count) + chance.choice((b"\xc0", b"\x80", b"\x90", b"\x01", b"\xa0")) * count


def _pairs(chance: Random) -> Packed:
    count = chance.randrange(1, MANY)
    return table(count) + b"\xa1a\xc0" * count


def _deep(chance: Random) -> Packed:
    return chance.choice((b"\x91", b"\x81\xa0", b"\x91\x81\xa0")) * chance.randrange(1, DEEP)


def _promises(chance: Random) -> Packed:
    """Arrays in arrays that say they have much more than there is."""
    return chance.choice((array, table))(chance.getrandbits(32)) * chance.randrange(1, 600)


def _nested_promises(chance: Random) -> Packed:
    return array(chance.randrange(1, 500_000)) * chance.randrange(1, 600) + bytes(500_000)


def _cut(chance: Random) -> Packed:
    packed = pack(tree(chance, 5))
    return packed[: chance.randrange(len(packed) + 1)]


def _longer(chance: Random) -> Packed:
    return pack(tree(chance)) + pack(tree(chance))


def _not_text(chance: Random) -> Packed:
    return b"\x81" + chance.choice((b"\xa2\xff\xfe", b"\xa3\xed\xa0\x80")) + b"\xc0"


def _noise(chance: Random) -> Packed:
    return chance.randbytes(chance.randrange(300))


STRUCTURES: Final[tuple[Callable[[Random], Packed], ...]] = (
    colliding,
    _wide,
    _pairs,
    _deep,
    _promises,
    _nested_promises,
    _cut,
    _longer,
    _not_text,
    _noise,
    lambda chance: pack(tree(chance, 6)),
    lambda chance: pack(b"x" * chance.randrange(LARGE_BYTES)),
)
"""Each makes bytes that may be msgpack, of another shape than a request has."""
