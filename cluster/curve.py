"""Key pairs of members and clients (CurveZMQ), as people, files and flags write them.

A key is 32 bytes. It is written as 64 hexadecimal digits, which need no quotes in a shell, a URL or
JSON; ZeroMQ's own spelling (Z85) needs them. Refuses to know where keys are kept, and whose they
are.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

KEY_BYTES: Final = 32
KEY_CHARS: Final = 2 * KEY_BYTES

BOOTSTRAP_BYTES_MIN: Final = 32
"""A bootstrap secret is at least this long: each member's first pair is as hard to guess as it."""

_KEY: Final = re.compile(f"[0-9a-fA-F]{{{KEY_CHARS}}}")
_SALT: Final = b"leasehold bootstrap 1"


class KeyPair(NamedTuple):
    """A public key and the secret key that belongs to it, each of 64 hexadecimal digits."""

    public: str
    secret: str

    def __repr__(self) -> str:
        return f"KeyPair({self.public})"  # a secret must not get into a log


class HeldKeys(NamedTuple):
    """The keys that a member or a client holds; `next` while a member is changing its key.

    `is_first`: the pair was derived from a bootstrap secret, and is to be replaced.
    """

    pair: KeyPair
    next: KeyPair | None = None
    is_first: bool = False


def parse_key(text: str) -> str:
    """A key as it is kept: lower case. Raises ValueError for anything else."""
    if _KEY.fullmatch(text) is None:
        raise ValueError(f"a key has {KEY_CHARS} hexadecimal digits")
    return text.lower()


def new_pair() -> KeyPair:
    """A pair that nobody has had before."""
    import zmq  # noqa: PLC0415 - a wrong flag is reported before ZeroMQ is loaded

    public, secret = zmq.curve_keypair()
    return KeyPair(_hex(public), _hex(secret))


def pair_of(secret: str) -> KeyPair:
    """The pair of a secret key."""
    import zmq  # noqa: PLC0415 - as above

    return KeyPair(_hex(zmq.curve_public(z85(secret))), secret)


def derived_pair(bootstrap: bytes, name: str) -> KeyPair:
    """A member's first pair: HKDF with SHA-256 (RFC 5869) of the bootstrap secret and its name.

    Whoever has the secret has the pairs of all members, so members replace these pairs at once.
    """
    import hashlib  # noqa: PLC0415 - as above: it would cost each leasectl command time
    import hmac  # noqa: PLC0415

    extracted = hmac.digest(_SALT, bootstrap, hashlib.sha256)
    secret = hmac.digest(extracted, b"member " + name.encode() + b"\1", hashlib.sha256)
    return pair_of(secret.hex())


def z85(key: str) -> bytes:
    """A key as ZeroMQ's options take it."""
    from zmq.utils import z85 as spelling  # noqa: PLC0415 - as above

    return bytes(spelling.encode(bytes.fromhex(key)))


def _hex(spelled: bytes) -> str:
    from zmq.utils import z85 as spelling  # noqa: PLC0415 - as above

    return bytes(spelling.decode(spelled)).hex()
