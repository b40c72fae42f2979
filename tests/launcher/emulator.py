"""A small terminal: takes the bytes that a program writes to one, and shows what a person sees.

It knows the few codes that our screens use, and refuses all others, so that none goes unnoticed.
Also here: a child process whose terminal it is.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence

from rich.cells import cell_len

from cluster.launcher.screens import painter
from tests.limits import HANG_SECONDS

READ_BYTES = 65_536
CLEAR = painter.CLEAR.encode()
CODE = re.compile(r"\x1b\[(\??[0-9;]*)([A-Za-z])")


class Terminal:
    """Rows of cells; a wide character is in one cell, and the next one is empty."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.cells = [[" "] * columns for _ in range(rows)]
        self.scrolled: list[str] = []
        self.row = self.column = 0
        self.modes: dict[str, bool] = {}
        self.colours: set[str] = set()
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._pending = ""

    @property
    def lines(self) -> list[str]:
        """What a person sees, without the empty rows at the end."""
        return "\n".join("".join(row).rstrip() for row in self.cells).rstrip("\n").split("\n")

    def resize(self, columns: int, rows: int) -> None:
        """Another size; as in xterm, what does not fit is cut off."""
        self.cells = [(row + [" "] * columns)[:columns] for row in self.cells]
        self.cells = (self.cells + [[" "] * columns for _ in range(rows)])[:rows]
        self.columns, self.rows = columns, rows
        self.row = min(self.row, rows - 1)

    def feed(self, data: bytes) -> None:
        text, self._pending = self._pending + self._decode(data), ""
        place = 0
        while place < len(text):
            if text[place] == "\x1b":
                found = CODE.match(text, place)
                if found is None:
                    self._pending = text[place:]
                    assert len(self._pending) < 20, f"unknown code {self._pending[:20]!r}"
                    return
                self._obey(*found.groups())
                place = found.end()
            else:
                self._write(text[place])
                place += 1

    def _obey(self, numbers: str, verb: str) -> None:
        count = int(numbers) if numbers.isdigit() else 1
        match verb:
            case "m":
                self.colours |= set(numbers.split(";")) - {"", "0", "1", "2", "7"}
            case "h" | "l":
                self.modes[numbers] = verb == "h"
            case "A":
                assert self.row >= count, "the cursor leaves the terminal"
                self.row -= count
            case "C":
                self.column += count
            case "H":
                self.row = self.column = 0
            case "K":
                self.cells[self.row][self.column :] = [" "] * (self.columns - self.column)
            case "J" if numbers == "2":
                self.cells = [[" "] * self.columns for _ in range(self.rows)]
            case "J":
                self._obey("", "K")
                for row in range(self.row + 1, self.rows):
                    self.cells[row] = [" "] * self.columns
            case _:
                raise AssertionError(f"unknown code {verb!r}")

    def _write(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.row += 1
            if self.row == self.rows:
                self.scrolled.append("".join(self.cells.pop(0)).rstrip())
                self.cells.append([" "] * self.columns)
                self.row -= 1
        else:
            wide = cell_len(character)
            assert self.column + wide < self.columns, "the last column is written"
            self.cells[self.row][self.column] = character
            for cell in range(1, wide):
                self.cells[self.row][self.column + cell] = ""
            self.column += wide


class Child:
    """A process that has a terminal of its own; use it in a `with` block."""

    def __init__(
        self,
        words: Sequence[str],
        columns: int = 80,
        rows: int = 24,
        environment: Mapping[str, str] | None = None,
        stdin: int | None = None,
    ) -> None:
        self.terminal = Terminal(columns, rows)
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"})
            os.environ.update(environment or {})
            if stdin is not None:
                os.dup2(stdin, 0)
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execvp(sys.executable, [sys.executable, "-P", *words])

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def type(self, text: str) -> None:
        """Type on its keyboard."""
        os.write(self.descriptor, text.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Change the window. What the program writes before it clears it is for the old size."""
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        deadline = time.monotonic() + HANG_SECONDS
        written = b""
        while CLEAR not in written:
            written += self._read(deadline)
        at = written.index(CLEAR)
        self.terminal.feed(written[:at])
        self.terminal.resize(columns, rows)
        self.terminal.feed(written[at:])

    def until(self, holds: Callable[[Terminal], object]) -> list[str]:
        """Read until this holds; the lines that a person sees then."""
        deadline = time.monotonic() + HANG_SECONDS
        while not holds(self.terminal):
            self.terminal.feed(self._read(deadline))
        return self.terminal.lines

    def shows(self, text: str) -> list[str]:
        """Read until a line contains this text."""
        return self.until(lambda terminal: any(text in line for line in terminal.lines))

    def _read(self, deadline: float) -> bytes:
        """Wait for what the program writes next."""
        left = deadline - time.monotonic()
        readable = select.select([self.descriptor], [], [], max(left, 0))[0]
        assert readable, "\n".join(self.terminal.lines)
        return os.read(self.descriptor, READ_BYTES)

    def ends(self) -> None:
        """Read until the process has ended; its exit status must be 0."""
        pidfd = os.pidfd_open(self.pid)
        ended = False
        try:
            # What it wrote last may still be unread when it has ended.
            while ready := select.select([self.descriptor, pidfd], [], [], HANG_SECONDS)[0]:
                if self.descriptor in ready:
                    self.terminal.feed(os.read(self.descriptor, READ_BYTES))
                elif ended := pidfd in ready:
                    break
        except OSError:  # the terminal has no other end any more
            ended = bool(select.select([pidfd], [], [], HANG_SECONDS)[0])
        os.close(pidfd)
        assert ended, "the process goes on"
        status = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        assert status is not None and status.si_status == 0
