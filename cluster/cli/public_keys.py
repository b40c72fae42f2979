"""Public CURVE keys as text: the 40 characters of Z85 (ZeroMQ RFC 32), or 64 of hex."""

from __future__ import annotations

import struct
from typing import Final

from zmq.utils import z85

from cluster.cli.ending import bad_arguments

KEY_BYTES: Final = 32
Z85_CHARACTERS: Final = 40
HEX_CHARACTERS: Final = 64


def key_of(text: str) -> bytes:
    """The bytes of a key; a text that is none ends the command."""
    read = {HEX_CHARACTERS: bytes.fromhex, Z85_CHARACTERS: z85.decode}.get(len(text))
    try:
        key = b"" if read is None else read(text)
    except (ValueError, KeyError, struct.error):
        key = b""
    if len(key) != KEY_BYTES:
        forms = f"{Z85_CHARACTERS} characters (Z85) or {HEX_CHARACTERS} (hex)"
        bad_arguments(f"a public key has {forms}: {text}")
    return key


def text_of(key: bytes) -> str:
    """A key as people see it."""
    return z85.encode(key).decode()
