"""Passwords as hashes: how one is made, and whether a password fits it (RFC 7914, scrypt).

A hash names its own parameters, so a later version may choose others. One takes some 50 ms and
16 MiB on purpose: it is computed in a thread, never in the loop. Refuses to know whose it is.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Final

import msgpack

COST_LOG2: Final = 14
BLOCK_SIZE: Final = 8
PARALLEL: Final = 1
SALT_BYTES: Final = 16
HASH_BYTES: Final = 32
COST_LOG2_MAX: Final = 20
"""A hash from elsewhere that asks for more work, or memory, than this is refused."""

PASSWORD_BYTES_MAX: Final = 1_024

MEMORY_BESIDE_BYTES: Final = 1024 * 1024
"""What scrypt may take beside its table, which has 1 KiB for each step."""


def hash_password(password: str, salt: bytes, cost_log2: int = COST_LOG2) -> bytes:
    """The hash of a password; `salt` is SALT_BYTES of chance. It takes 2**cost_log2 steps."""
    made = _scrypt(password, salt, cost_log2, BLOCK_SIZE, PARALLEL)
    packed: bytes = msgpack.packb((cost_log2, BLOCK_SIZE, PARALLEL, salt, made))
    return packed


def hash_of_none(cost_log2: int = COST_LOG2) -> bytes:
    """A hash of no password: to check it takes the time of another."""
    row = cost_log2, BLOCK_SIZE, PARALLEL, bytes(SALT_BYTES), bytes(HASH_BYTES)
    packed: bytes = msgpack.packb(row)
    return packed


def fits(password: str, hashed: bytes) -> bool:
    """Whether this is the password of a hash; False, too, for bytes that `hash_password` never
    made."""
    try:
        cost_log2, block_size, parallel, salt, made = msgpack.unpackb(hashed, use_list=False)
        if not 1 <= cost_log2 <= COST_LOG2_MAX or (block_size, parallel) != (BLOCK_SIZE, PARALLEL):
            return False
        return hmac.compare_digest(_scrypt(password, salt, cost_log2, block_size, parallel), made)
    except (ValueError, TypeError, msgpack.UnpackException):
        return False


def _scrypt(password: str, salt: Any, cost_log2: int, block_size: int, parallel: int) -> bytes:
    memory_bytes = 128 * block_size * (1 << cost_log2) + MEMORY_BESIDE_BYTES
    return hashlib.scrypt(
        password.encode(),
        salt=salt,
        n=1 << cost_log2,
        r=block_size,
        p=parallel,
        maxmem=memory_bytes,
        dklen=HASH_BYTES,
    )
