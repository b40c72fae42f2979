"""The launcher's end of commands from other terminals: a unix socket, only for the same user.

A connection carries one command: `{"line": "kill leader"}`. Answers are lines of JSON: `{"say":
TEXT}` and `{"told": HAPPENING}` while the command is under way, then `{"done": ERROR}`, which is
empty if all went well. The command ends early when the connection is closed.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Callable, Iterable, Set
from pathlib import Path
from typing import Any, Final

from cluster.launcher.commands.caller import SOCKET, ShortPath
from cluster.launcher.commands.desk import Asker
from cluster.launcher.errands.errand import FOREVER
from cluster.launcher.story.happenings import EXPLAINED, LAUNCHER, RECORDED, Happening
from cluster.launcher.story.journal import Journal

SOCKET_MASK: Final = 0o177
"""Others may not even connect: the mode of the socket is 0600."""

CALLERS_MAX: Final = 64
LINE_BYTES_MAX: Final = 128 * 1024
WAITING_BYTES_MAX: Final = 4 * 1024 * 1024
"""A caller that reads no answers is given up when so many bytes wait for it."""

READ_BYTES: Final = 64 * 1024

UNTOLD: Final = frozenset(("command", "refused", *RECORDED, *EXPLAINED))
"""Whoever asked knows these, or does not want them."""

Obey = Callable[[str, Asker], None]


class CtlServer:
    """The launcher's end: a part of its main loop."""

    def __init__(self, data_dir: Path, journal: Journal, obey: Obey) -> None:
        self._path = data_dir / SOCKET
        self._journal = journal
        self._obey = obey
        self._callers: dict[int, CtlCaller] = {}
        self._path.unlink(missing_ok=True)  # of a launcher that was killed: the directory is ours
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        before = os.umask(SOCKET_MASK)
        try:
            with ShortPath(self._path) as path:
                self._listener.bind(path)
        finally:
            os.umask(before)
        self._listener.listen(CALLERS_MAX)

    @property
    def due(self) -> float:
        """It waits for nothing but its sockets."""
        return FOREVER

    def fds(self) -> Iterable[int]:
        """The listener and the callers."""
        return (self._listener.fileno(), *self._callers)

    def serve(self, ready: Set[int], now: float) -> None:
        """Take new callers and their lines."""
        if self._listener.fileno() in ready:
            self._accept()
        for fd in ready & self._callers.keys():
            caller = self._callers[fd]
            line = caller.read()
            if line is not None:
                self._obey(line, caller)
        for fd, caller in list(self._callers.items()):
            caller.flush()
            if not caller.is_there:
                del self._callers[fd]
                caller.close()

    def close(self) -> None:
        """End all conversations; what was answered until now still arrives."""
        for caller in self._callers.values():
            caller.flush()
            caller.close()
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # it has gone again
        uid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid[1] not in {0, os.getuid()} or len(self._callers) >= CALLERS_MAX:
            connection.close()
            return
        connection.setblocking(False)
        self._callers[connection.fileno()] = CtlCaller(connection, self._journal)


class CtlCaller:
    """One conversation, of one command: an Asker."""

    via = "ctl"

    def __init__(self, connection: socket.socket, journal: Journal) -> None:
        self._connection = connection
        self._journal = journal
        self._read = b""
        self._unsent = b""
        self._has_asked = False
        self._is_done = False
        self._is_gone = False
        self._forget: Callable[[], None] | None = None

    @property
    def conversation(self) -> CtlCaller:
        """Another terminal's commands do not wait for this one."""
        return self

    @property
    def is_there(self) -> bool:
        """Whether it still waits for something."""
        return not self._is_gone and not (self._is_done and not self._unsent)

    def read(self) -> str | None:
        """Take what has come; the command's line when it is whole."""
        try:
            data = self._connection.recv(READ_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        self._read += data
        if not data or len(self._read) > LINE_BYTES_MAX:
            self._is_gone = True
            return None
        if self._has_asked or b"\n" not in self._read:
            return None
        self._has_asked = True
        try:
            line = json.loads(self._read)["line"]
        except (ValueError, KeyError, TypeError):
            line = None
        if not isinstance(line, str):
            self.done("this is not a command of run_cluster.py ctl")
            return None
        self._forget = self._journal.read_by(self._hear)
        return line

    def say(self, text: str) -> None:
        """Answer."""
        self._send({"say": text})

    def clear(self) -> None:
        """Its terminal is its own."""

    def done(self, error: str = "") -> None:
        """The command has ended."""
        self._send({"done": error})
        self._is_done = True
        self._listen_no_more()

    def flush(self) -> None:
        """Send what it takes."""
        try:
            while self._unsent:
                self._unsent = self._unsent[self._connection.send(self._unsent) :]
        except BlockingIOError:
            self._is_gone = self._is_gone or len(self._unsent) > WAITING_BYTES_MAX
        except OSError:
            self._is_gone = True

    def close(self) -> None:
        """End the conversation."""
        self._is_gone = True
        self._listen_no_more()
        self._connection.close()

    def _hear(self, happening: Happening) -> None:
        if happening.source == LAUNCHER and happening.kind not in UNTOLD:
            self._send({"told": happening.document()})

    def _send(self, document: dict[str, Any]) -> None:
        if not self._is_done:
            self._unsent += json.dumps(document).encode() + b"\n"
            self.flush()

    def _listen_no_more(self) -> None:
        if self._forget is not None:
            self._forget()
            self._forget = None
