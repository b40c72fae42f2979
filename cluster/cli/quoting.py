"""How to read and write Go's quoted strings, and how to split a typed line into words.

etcdctl reads keys and values in transactions, and the lines of an interactive watch, as Go's
scanner and a small word splitter do. Text is decoded with surrogateescape, so any bytes pass.
"""

from __future__ import annotations

import os
import re
from typing import Final, NamedTuple

_NAMED: Final = {
    "a": b"\a",
    "b": b"\b",
    "f": b"\f",
    "n": b"\n",
    "r": b"\r",
    "t": b"\t",
    "v": b"\v",
    "\\": b"\\",
    '"': b'"',
}
_ESCAPE: Final = re.compile(
    r'\\(?:(?P<named>[abfnrtv\\"])|x(?P<hex>[0-9a-fA-F]{2})|(?P<octal>[0-7]{3})'
    r"|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8}))"
)
_DOUBLE: Final = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_RAW: Final = re.compile(r"`([^`]*)`")
_WORD: Final = re.compile(
    r"""(?P<double>"(?:[^"\\]|\\.)*")|'(?P<single>[^']*)'|(?P<bare>[^'"\s]\S*)"""
)

_ESCAPES: Final = {character[0]: f"\\{name}" for name, character in _NAMED.items()}

BYTE_MAX: Final = 0xFF
CODE_POINT_MAX: Final = 0x10FFFF
SURROGATES: Final = range(0xD800, 0xE000)


class Quoted(NamedTuple):
    """A quoted string that was read: its value, and the position in the text where it ends."""

    value: bytes
    end: int


def quoted(raw: bytes) -> str:
    """A Go string literal: printable text as it is, other bytes escaped."""
    text = raw.decode("utf-8", "surrogateescape")
    return '"' + "".join(map(_escaped, text)) + '"'


def read_quoted(text: str, start: int = 0) -> Quoted | None:
    """The quoted string that begins at `start`; None if there is no complete one.

    Raises ValueError, with Go's text, for an escape that Go does not know.
    """
    raw = _RAW.match(text, start)
    if raw is not None:
        return Quoted(os.fsencode(raw[1]), raw.end())
    double = _DOUBLE.match(text, start)
    if double is None:
        return None
    return Quoted(_unescaped(double[1]), double.end())


def split_words(line: str) -> list[str]:
    """The words of a line: a bare word ends at white space, a quoted word may hold it.

    Double quotes take Go's escapes (ValueError for others), single quotes take none. A quote that
    is never closed is skipped.
    """
    words = []
    for match in _WORD.finditer(line):
        if match["double"] is not None:
            word = read_quoted(match["double"])
            if word is None:  # it has a newline in it
                raise ValueError("invalid syntax")
            words.append(os.fsdecode(word.value))
        else:
            words.append(match["single"] if match["single"] is not None else match["bare"])
    return words


def _unescaped(inner: str) -> bytes:
    parts: list[bytes] = []
    position = 0
    while (start := inner.find("\\", position)) != -1:
        match = _ESCAPE.match(inner, start)
        if match is None:
            raise ValueError("invalid syntax")
        parts += (os.fsencode(inner[position:start]), _meaning(match))
        position = match.end()
    return b"".join([*parts, os.fsencode(inner[position:])])


def _meaning(escape: re.Match[str]) -> bytes:
    if escape["named"]:
        return _NAMED[escape["named"]]
    if escape["hex"] or escape["octal"]:
        code = int(escape["hex"], 16) if escape["hex"] else int(escape["octal"], 8)
        if code > BYTE_MAX:
            raise ValueError("invalid syntax")
        return bytes([code])
    code = int(escape["short"] or escape["long"], 16)
    if code > CODE_POINT_MAX or code in SURROGATES:
        raise ValueError("invalid syntax")
    return chr(code).encode()


def _escaped(character: str) -> str:
    code = ord(character)
    if code in _ESCAPES:
        return _ESCAPES[code]
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as surrogateescape decodes it
        return f"\\x{code - 0xDC00:02x}"
    if character.isprintable():
        return character
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
