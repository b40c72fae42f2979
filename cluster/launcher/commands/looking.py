"""The commands that change nothing in the cluster: ls, status, logs, clear; and quit."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, BinaryIO, Final

from cluster.launcher.commands.desk import Desk
from cluster.launcher.commands.parsing import Words
from cluster.launcher.errands.errand import FOREVER, Errand, Until
from cluster.launcher.naming import MEMBERS
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.screens.view import node_lines

LOG_LINES: Final = 20
LOG_LINES_MAX: Final = 1_000
LOG_READ_BYTES: Final = 256 * 1024
"""The newest lines are looked for in this part of a log; new ones are read in such portions."""


def ls(desk: Desk, words: Words) -> None:
    """Say what each node does."""
    no_words("ls", words)
    desk.say("\n".join(node_lines(desk.view(time.monotonic()))))


def status(desk: Desk, words: Words) -> None:
    """Say how the cluster is."""
    no_words("status", words)
    desk.say(desk.view(time.monotonic()).line())


def logs(desk: Desk, words: Words) -> Errand[Any] | None:
    """Say the newest lines of a node's log, and with -f each new one."""
    node = desk.node("logs", words.plain, MEMBERS)
    wanted = min(words.options.get("n", LOG_LINES), LOG_LINES_MAX)
    follow = bool(words.options.get("f"))
    if follow and desk.asker.via == "prompt":
        raise LauncherError(
            f"-f is for another terminal, which Ctrl-C frees again: run_cluster.py ctl logs"
            f" {node.name} -f"
        )
    tail = _Tail(node.log_path)
    lines = tail.newest(wanted)
    desk.say("\n".join(lines) if lines else f"nothing in {node.log_path}")
    return _follow(desk, tail) if follow else None


def clear(desk: Desk, words: Words) -> None:
    """Empty the screen."""
    no_words("clear", words)
    desk.asker.clear()


def leave(desk: Desk, words: Words) -> None:
    """Stop the cluster and the launcher."""
    no_words("quit", words)
    desk.finish()


def no_words(command: str, words: Words) -> None:
    """LauncherError if something follows a command that takes nothing."""
    if words.plain:
        raise LauncherError(f"{command} takes no words: {' '.join(words.plain)}")


def _follow(desk: Desk, tail: _Tail) -> Errand[None]:
    def told() -> bool:
        lines = tail.more()
        if lines:
            desk.say("\n".join(lines))
        return not desk.asker.is_there

    yield Until(told, FOREVER, "")


class _Tail:
    """The end of a log file, which grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = 0
        self._rest = b""

    def newest(self, count: int) -> list[str]:
        """The last lines; `more` goes on behind them."""
        try:
            with self._path.open("rb") as log:
                end = log.seek(0, 2)
                log.seek(max(0, end - LOG_READ_BYTES))
                lines = self._lines(log)
        except FileNotFoundError:
            return []
        return lines[len(lines) - min(count, len(lines)) :]

    def more(self) -> list[str]:
        """The lines since the last call."""
        try:
            with self._path.open("rb") as log:
                log.seek(self._place)
                return self._lines(log)
        except FileNotFoundError:
            return []

    def _lines(self, log: BinaryIO) -> list[str]:
        data = log.read(LOG_READ_BYTES)
        self._place = log.tell()
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.decode(errors="replace") for line in lines]
