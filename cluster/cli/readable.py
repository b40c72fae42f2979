"""Keys, values and ids in JSON that people read: text where it is text, ids as commands take them.

`-w jsonl`, `export` and `import` share it. Bytes that are not UTF-8 are in base64, in a field whose
name says so: `value_base64` instead of `value`.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final

BASE64: Final = "_base64"
"""What the name of a field ends with whose bytes are not UTF-8."""


def bytes_field(name: str, raw: bytes) -> dict[str, str]:
    """The field that holds these bytes."""
    try:
        return {name: raw.decode()}
    except UnicodeDecodeError:
        return {name + BASE64: b64encode(raw).decode()}


def bytes_of(fields: Mapping[str, Any], name: str) -> bytes:
    """The bytes of such a field; ValueError where there is none, or something else."""
    text, encoded = fields.get(name), fields.get(name + BASE64)
    if isinstance(text, str) and encoded is None:
        return text.encode()
    if isinstance(encoded, str) and text is None:
        return b64decode(encoded, validate=True)
    raise ValueError(f"one of {name} and {name}{BASE64} is wanted, as a text")


def line(fields: Mapping[str, Any]) -> bytes:
    """One object, on one line."""
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
