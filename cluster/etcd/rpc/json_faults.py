"""What Go says about a text that is no JSON (encoding/json), as etcd's gateway passes it on.

Used only when a text could not be read, so this may be slow. Refuses to know what a text means.
"""

from __future__ import annotations

from typing import Final

CUT: Final = "unexpected EOF"
TOO_DEEP: Final = "exceeded max depth"

_SPACE: Final = b" \t\r\n"
_DIGITS: Final = b"0123456789"
_HEX: Final = b"0123456789abcdefABCDEF"
_ESCAPES: Final = b'bfnrt\\/"'
_LITERALS: Final = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
_GO_ESCAPES: Final = {
    7: "\\a",
    8: "\\b",
    9: "\\t",
    10: "\\n",
    11: "\\v",
    12: "\\f",
    13: "\\r",
    34: '\\"',
    92: "\\\\",
}


class _FaultError(Exception):
    """The text of the first fault."""


def fault_in(data: bytes) -> str:
    """The first fault of the first value of a text; "" if it has none."""
    try:
        _Scanner(data).scan()
    except _FaultError as fault:
        return str(fault)
    return ""


def trailing_fault(data: bytes) -> str:
    """As `fault_in`, for a text that must hold one value and nothing behind it."""
    scanner = _Scanner(data + b" ")  # as Go does, to see whether the value ends there
    try:
        scanner.scan()
        if scanner.peek() is not None:
            scanner.fail("after top-level value")
    except _FaultError as fault:
        return "unexpected end of JSON input" if str(fault) == CUT else str(fault)
    return ""


def go_quoted(text: str) -> str:
    """A text as Go's %q shows it."""
    return '"' + "".join([_shown(character) for character in text]) + '"'


def _shown(character: str) -> str:
    code = ord(character)
    if code in _GO_ESCAPES:
        return _GO_ESCAPES[code]
    if character.isprintable():
        return character
    if code < 0x20:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8 (surrogateescape)
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class _Scanner:
    """Walks over one value; the open objects and arrays are a stack, not calls."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def scan(self) -> None:
        """Walk over the first value, or raise _FaultError."""
        closers: list[int] = []
        while True:
            opened = self._value()
            if opened:
                closers.append(opened)
                if not self._is_empty(opened):
                    continue
                closers.pop()
            while closers and self._is_closed(closers[-1]):
                closers.pop()
            if not closers:
                return

    def peek(self) -> int | None:
        """The next byte that is no space, where the scanner stands then; None at the end."""
        data = self._data
        while self._position < len(data) and data[self._position] in _SPACE:
            self._position += 1
        return data[self._position] if self._position < len(data) else None

    def fail(self, where: str) -> None:
        """Raise _FaultError for the byte where the scanner stands."""
        if self._position >= len(self._data):
            raise _FaultError(CUT)
        byte = self._data[self._position]
        shown = "\\'" if byte == 0x27 else '"' if byte == 0x22 else go_quoted(chr(byte))[1:-1]
        raise _FaultError(f"invalid character '{shown}' {where}")

    def _value(self) -> int:
        """Walk over a value that is no object and no array. Of these walk over the bracket (and an
        object's first key) only, and return the bracket that closes it; else 0."""
        first = self.peek()
        if first == ord("{"):
            self._position += 1
            return ord("}")
        if first == ord("["):
            self._position += 1
            return ord("]")
        if first == ord('"'):
            self._string()
        elif first in _LITERALS:
            self._literal(_LITERALS[first])
        elif first is not None and (first == ord("-") or first in _DIGITS):
            self._number()
        else:
            self.fail("looking for beginning of value")
        return 0

    def _is_empty(self, closer: int) -> bool:
        """Whether an object or array that was just opened has nothing in it."""
        if self.peek() == closer:
            self._position += 1
            return True
        if closer == ord("}"):
            self._key()
        return False

    def _is_closed(self, closer: int) -> bool:
        """Whether an object or array ends behind a value, or else goes on with a comma."""
        found = self.peek()
        if found == closer:
            self._position += 1
            return True
        if found != ord(","):
            self.fail(
                "after object key:value pair" if closer == ord("}") else "after array element"
            )
        self._position += 1
        if closer == ord("}"):
            self._key()
        return False

    def _key(self) -> None:
        if self.peek() != ord('"'):
            self.fail("looking for beginning of object key string")
        self._string()
        if self.peek() != ord(":"):
            self.fail("after object key")
        self._position += 1

    def _next(self) -> int | None:
        self._position += 1
        return self._data[self._position] if self._position < len(self._data) else None

    def _string(self) -> None:
        while (byte := self._next()) != ord('"'):
            if byte is None or byte < 0x20:
                self.fail("in string literal")
            if byte != ord("\\"):
                continue
            escape = self._next()
            if escape == ord("u"):
                self._expect(4 * [_HEX], "in \\u hexadecimal character escape")
            elif escape is None or escape not in _ESCAPES:
                self.fail("in string escape code")
        self._position += 1

    def _expect(self, allowed: list[bytes], where: str) -> None:
        for characters in allowed:
            byte = self._next()
            if byte is None or byte not in characters:
                self.fail(where)

    def _literal(self, word: bytes) -> None:
        for expected in word[1:]:
            if self._next() != expected:
                self.fail(f"in literal {word.decode()} (expecting '{chr(expected)}')")
        self._position += 1

    def _number(self) -> None:
        byte: int | None = self._data[self._position]
        if byte == ord("-"):
            byte = self._next()
        if byte is None or byte not in _DIGITS:
            self.fail("in numeric literal")
        byte = self._next() if byte == ord("0") else self._digits()
        if byte == ord("."):
            self._expect([_DIGITS], "after decimal point in numeric literal")
            byte = self._digits()
        if byte is not None and byte in b"eE":
            byte = self._next()
            if byte is not None and byte in b"+-":
                byte = self._next()
            if byte is None or byte not in _DIGITS:
                self.fail("in exponent of numeric literal")
            self._digits()

    def _digits(self) -> int | None:
        byte = self._next()
        while byte is not None and byte in _DIGITS:
            byte = self._next()
        return byte
