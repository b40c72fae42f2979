"""JSON values one after the other, told apart while they arrive.

The body of a stream of etcd's JSON gateway is a row of objects: `{...}{...}`. It refuses to know
what they mean; an object that is not JSON is given away as it is, and fails where it is read.
"""

from __future__ import annotations

import re
from typing import Final

_MARKS: Final = re.compile(rb'["\\{}]')
_SPACE: Final = b" \t\r\n"


class ObjectSplitter:
    """Takes bytes as they arrive and gives whole objects; one may have `bytes_max` bytes.

    `is_broken`: what follows the objects is none, or is too large. No more is given then, and
    `rest` begins with it.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._held = b""
        self._at = 0
        self._depth = 0
        self._in_text = False
        self.is_broken = False

    def feed(self, data: bytes) -> list[bytes]:
        """The objects that these bytes complete."""
        self._held += data
        found: list[bytes] = []
        while not self.is_broken and (value := self._next()) is not None:
            found.append(value)
        if len(self._held) > self._bytes_max:
            self.is_broken = True
        return found

    def rest(self) -> bytes:
        """What has arrived of a value that is not complete."""
        return self._held.strip(_SPACE)

    def _next(self) -> bytes | None:
        if not self._depth:
            self._held = self._held.lstrip(_SPACE)
            self._at = 0
            if self._held[:1] not in (b"", b"{"):
                self.is_broken = True
                return None
        while (mark := _MARKS.search(self._held, self._at)) is not None:
            sign, self._at = mark.group(), mark.end()
            if self._in_text:
                if sign == b"\\":
                    if self._at == len(self._held):
                        # Which sign it hides has not arrived.
                        self._at -= 1
                        return None
                    self._at += 1
                elif sign == b'"':
                    self._in_text = False
            elif sign == b'"':
                self._in_text = True
            elif sign != b"\\":
                self._depth += 1 if sign == b"{" else -1
                if not self._depth:
                    value, self._held = self._held[: self._at], self._held[self._at :]
                    return value
        self._at = len(self._held)
        return None
