"""Tokens: what a client shows in place of its password, and every member understands by itself.

A token names its user, the auth revision at which the password was checked, and its end; a secret
that all members share seals it. The store decides what it is worth at the place of a request: see
`valid_from` and `curtailed_at` in `language.auth`. Refuses to know how a client got it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from typing import Final, NamedTuple

TTL_SECONDS: Final = 300
"""The life of a token, unless --auth-token-ttl says otherwise."""

SECRET_BYTES: Final = 32
SEAL_BYTES: Final = 16
TOKEN_CHARS_MAX: Final = 128

_FIELDS: Final = struct.Struct(">QQQ")


class Token(NamedTuple):
    """What a token says; `ends_s` is in seconds since 1970."""

    user_id: int
    shown_at: int
    ends_s: int


def seal(secret: bytes, token: Token) -> str:
    """The text of a token."""
    body = _FIELDS.pack(*token)
    return base64.urlsafe_b64encode(body + _seal_of(secret, body)).decode().rstrip("=")


def unseal(secret: bytes, text: str) -> Token | None:
    """What a token says; None: it was not made with this secret."""
    if len(text) > TOKEN_CHARS_MAX:
        return None
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(data) != _FIELDS.size + SEAL_BYTES:
        return None
    body, sealed = data[: _FIELDS.size], data[_FIELDS.size :]
    if not hmac.compare_digest(_seal_of(secret, body), sealed):
        return None
    return Token(*_FIELDS.unpack(body))


def _seal_of(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, body, "sha256")[:SEAL_BYTES]
