"""`run_cluster.py ctl COMMAND`: has the launcher that runs do a command, and prints the answer.

It loads nothing of a cluster, so that it answers at once.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from cluster.flags import FlagParser
from cluster.launcher.nodes.files import holder_of, temporary_directories
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.program import CTL, DATA_DIR, PROGRAM

SOCKET: Final = "ctl.sock"

EXIT_FAILURE: Final = 1

DESCRIPTION: Final = f"""\
Does a command of {PROGRAM}'s prompt from another terminal, prints the answer,
and exits with 0, or with 1 if it was refused or has failed.

{PROGRAM} {CTL} help lists the commands."""


class CtlOptions(NamedTuple):
    """A command for a launcher that runs already."""

    data_dir: str | None
    json: bool
    line: str


def main(arguments: Sequence[str]) -> int:
    """Have a running launcher do a command; the exit status."""
    # Nothing is left to tidy up; and in Python, Ctrl-C just before a wait would not end it.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    options = parse(arguments)
    show = _show_json if options.json else _show
    try:
        where = launcher_directory(options.data_dir, DATA_DIR, temporary_directories())
        error = ask(where, options.line, show)
    except LauncherError as refused:
        error = str(refused)
    except BrokenPipeError:
        # Nobody reads any more. Python's own flush at the exit must not fail, too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILURE
    if error:
        sys.stderr.write(f"{PROGRAM} {CTL}: {error}\n")
    return EXIT_FAILURE if error else 0


def parse(arguments: Sequence[str]) -> CtlOptions:
    """Read the command line. Its own flags come before the command, which may have any."""
    parser = FlagParser(f"{PROGRAM} {CTL}", DESCRIPTION)
    parser.add_argument("--data-dir", metavar="DIR", help=f"the launcher's (default {DATA_DIR})")
    parser.add_argument("--json", action="store_true", help="answers as lines of JSON")
    parser.add_argument("words", nargs="...", metavar="COMMAND", help="for example: kill leader")
    parsed = parser.parse_args(arguments)
    if not parsed.words:
        parser.error(f"which command? {PROGRAM} {CTL} help lists them")
    words = parsed.words
    # One word is a whole line, as typed at the prompt: so a shell leaves the bar in it alone.
    line = words[0] if len(words) == 1 else shlex.join(words)
    return CtlOptions(parsed.data_dir, parsed.json, line)


def _show(answer: dict[str, Any]) -> None:
    print(answer["say"] if "say" in answer else answer["told"]["text"], flush=True)


def _show_json(answer: dict[str, Any]) -> None:
    print(json.dumps(answer.get("told", answer)), flush=True)


class ShortPath:
    """A path to a socket that is short enough for the system, whatever its directory's length."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._directory = -1

    def __enter__(self) -> str:
        self._directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._directory}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        os.close(self._directory)


def connect(data_dir: Path) -> socket.socket:
    """A connection to the launcher that runs in this data directory."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with ShortPath(data_dir / SOCKET) as path:
            connection.connect(path)
    except PermissionError:
        connection.close()
        raise LauncherError(f"the launcher of {data_dir} belongs to another user") from None
    except OSError:
        connection.close()
        raise LauncherError(_why_not(data_dir)) from None
    return connection


def _why_not(data_dir: Path) -> str:
    """Why no launcher can be asked there."""
    holder = holder_of(data_dir)
    if holder:
        return f"the launcher in {data_dir} (pid {holder}) has not started its cluster yet"
    return f"no launcher runs in {data_dir}: start one there, or name its --data-dir"


def launcher_directory(named: str | None, usual: str, temporary: Iterable[Path]) -> Path:
    """The data directory of the launcher that is meant: the named one, else the usual one.

    If no launcher runs in the usual one, and one launcher runs with temporary data, it is that.
    """
    if named is not None or _is_served(Path(usual)):
        return Path(named or usual)
    found = [path for path in temporary if _is_served(path)]
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise LauncherError(f"several launchers run, name the --data-dir of one: {names}")
    return found[0] if found else Path(usual)


def _is_served(data_dir: Path) -> bool:
    try:
        connect(data_dir).close()
    except LauncherError:
        return False
    return True


def ask(data_dir: Path, line: str, show: Callable[[dict[str, Any]], None]) -> str:
    """Have the launcher of this directory do a command; the error that it ended with, if any.

    `show` is called with each answer as it comes.
    """
    with connect(data_dir) as connection, connection.makefile("rb") as answers:
        connection.sendall(json.dumps({"line": line}).encode() + b"\n")
        for answer in answers:
            document = json.loads(answer)
            if "done" in document:
                return str(document["done"])
            show(document)
    return "the launcher has ended before it answered"
