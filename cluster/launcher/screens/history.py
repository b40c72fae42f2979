"""PromptHistory: the lines typed before, newest last, kept in a file for the next start.

The file has one line each, and is private: lines may hold keys and values. What cannot be read or
written is not kept, and nothing else comes of it.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from cluster.private import append, create

LINES_MAX: Final = 1_000
"""The number of lines that are kept. The file is rewritten at the start when it has more."""

FILE_BYTES_MAX: Final = 1 << 20
"""Of a longer file, only the end is read."""


class PromptHistory:
    """The lines typed before, and the place at which the user looks at them."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lines = _read(path) if path is not None else []
        self._place = len(self._lines)
        self._unfinished = ""
        if path is not None and len(self._lines) > LINES_MAX:
            self._lines = self._lines[-LINES_MAX:]
            self._place = len(self._lines)
            self._rewrite(path)

    def add(self, line: str) -> None:
        """A line was typed. A blank line and a repeated one are not kept again."""
        self._unfinished = ""
        if line.strip() and self._lines[-1:] != [line]:
            self._lines = [*self._lines, line][-LINES_MAX:]
            self._write(line)
        self._place = len(self._lines)

    def older(self, present: str) -> str:
        """The line before the present one; the first line stays."""
        if self._place == len(self._lines):
            self._unfinished = present
        self._place = max(0, self._place - 1)
        return self._here(present)

    def newer(self, present: str) -> str:
        """The line after the present one, or at last the unfinished one."""
        if self._place == len(self._lines):
            return present
        self._place += 1
        return self._here(present)

    def find(self, part: str, *, further: bool = False) -> str | None:
        """The newest line that contains `part`; `further`: before the one found last."""
        end = self._place if further else len(self._lines)
        for place in range(end - 1, -1, -1):
            if part in self._lines[place]:
                self._place = place
                return self._lines[place]
        return None

    def _here(self, present: str) -> str:
        if not self._lines:
            return present
        return [*self._lines, self._unfinished][self._place]

    def _write(self, line: str) -> None:
        if self._path is not None:
            with suppress(OSError), append(self._path) as file:
                _put(file, line)

    def _rewrite(self, path: Path) -> None:
        new = path.with_name(path.name + ".new")
        with suppress(OSError):
            with create(new) as file:
                for line in self._lines:
                    _put(file, line)
            new.replace(path)


def _put(file: BinaryIO, line: str) -> None:
    file.write(line.encode("utf-8", "replace") + b"\n")


def _read(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - FILE_BYTES_MAX))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line for line in text.split("\n") if line.strip()]
