"""JsonScreen: each happening as one line of JSON, for scripts; commands come from a pipe.

Everything that is told is there, what people do not read as well. The answer to a command is a line
of the kind `answer`, and lines that nobody read in time are one of the kind `dropped`.
"""

from __future__ import annotations

import json
import time
from typing import Any, TextIO

from cluster.launcher.screens.line_input import LineInput
from cluster.launcher.screens.outlet import Outlet
from cluster.launcher.screens.view import ClusterView
from cluster.launcher.story.happenings import LAUNCHER, Happening


class JsonScreen:
    """Writes to a stream; reads commands from stdin."""

    def __init__(self, out: TextIO) -> None:
        self._outlet = Outlet(out.fileno())
        self._input = LineInput()

    def open(self) -> None:
        self._input.open()

    def close(self) -> None:
        self._input.close()
        self._outlet.close()

    def wake(self) -> None:
        """Do nothing: this screen has not changed the terminal."""

    def clear(self) -> None:
        """Do nothing: what is written is written."""

    def tell(self, happening: Happening) -> None:
        if self._outlet.is_idle and (dropped := self._outlet.take_dropped()):
            self._write("dropped", f"{dropped} lines were dropped", count=dropped)
        self._put(happening)

    def say(self, text: str) -> None:
        self._write("answer", text)

    def show(self, view: ClusterView) -> None:
        """Do nothing: what changes is told."""

    def input_fd(self) -> int | None:
        return self._input.descriptor

    def typed(self) -> list[str]:
        return self._input.lines()

    def _write(self, kind: str, text: str, **fields: Any) -> None:
        self._put(Happening(time.monotonic(), time.time(), kind, LAUNCHER, text, fields))

    def _put(self, happening: Happening) -> None:
        self._outlet.put(json.dumps(happening.document()).encode() + b"\n")
