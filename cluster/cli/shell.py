"""leasectl shell: commands typed line by line, over one connection, with history and completion."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import click
from click.shell_completion import ShellComplete

from cluster.cli.app import PROGRAM, Command, run
from cluster.cli.ending import CommandError, bad_arguments
from cluster.cli.output import complain
from cluster.cli.quoting import split_words
from cluster.cli.settings import CliSettings

PROMPT: Final = f"{PROGRAM}> "
ENDINGS: Final = ("exit", "quit")

HISTORY_VARIABLE: Final = "XDG_STATE_HOME"
HISTORY_LINES_MAX: Final = 1_000

LINE_BYTES_MAX: Final = 16 << 20
"""A longer line would not fit into a request."""


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.pass_context
def shell(context: click.Context, words: tuple[str, ...]) -> None:
    """Carry out commands that are typed, one a line, over one connection (not in etcd).

    A line has the words of a command line without `leasectl`, with Go's quotes. Ctrl-C ends the
    command that runs; exit, quit or Ctrl-D ends the shell. From a pipe, all lines are carried out,
    and the exit status is that of the last one that failed.
    """
    if words:
        bad_arguments("shell takes no argument")
    settings: CliSettings = context.obj
    root = context.find_root().command
    assert isinstance(root, click.Group), "commands are in groups"
    status = 0
    with settings.connect() as client:
        settings.share(client)
        for line in _typed(root, settings) if sys.stdin.isatty() else _piped():
            status = _carry_out(root, settings, line) or status
    raise SystemExit(status)


def _carry_out(root: click.Group, settings: CliSettings, line: str) -> int:
    """Run one line; its exit status. A line has settings of its own, which begin as the shell's."""
    try:
        words = split_words(line)
    except ValueError as error:
        complain(f"Error: {error}")
        return 1
    if not words:
        return 0
    try:
        return run(root, words, replace(settings, endpoints=list(settings.endpoints)))
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 0


# --- where lines come from ---


def _piped() -> Iterator[str]:
    while line := sys.stdin.buffer.readline(LINE_BYTES_MAX):
        text = os.fsdecode(line).strip()
        if text in ENDINGS:
            return
        yield text


def _typed(root: click.Group, settings: CliSettings) -> Iterator[str]:
    """The lines of a person, who can go back to former ones and have words completed."""
    import readline  # noqa: PLC0415 - only for people

    history = _history_file()
    with suppress(OSError):
        readline.read_history_file(history)
    readline.set_history_length(HISTORY_LINES_MAX)
    readline.set_completer_delims(" \t")
    readline.set_completer(_Completer(root, settings).complete)
    readline.parse_and_bind("tab: complete")
    try:
        while True:
            try:
                text = input(PROMPT).strip()
            except KeyboardInterrupt:
                complain("")  # the line is given up, and another begins
                continue
            except EOFError:
                complain("")
                return
            if text in ENDINGS:
                return
            yield text
    finally:
        with suppress(OSError):
            history.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            readline.write_history_file(history)
            history.chmod(0o600)


def _history_file() -> Path:
    state = os.environ.get(HISTORY_VARIABLE) or Path.home() / ".local" / "state"
    return Path(state) / PROGRAM / "history"


class _Completer:
    """What readline asks: the first candidate for a word, the second, until there is none."""

    def __init__(self, root: click.Group, settings: CliSettings) -> None:
        self._root = root
        self._settings = settings
        self._found: list[str] = []

    def complete(self, word: str, number: int) -> str | None:
        """The candidate of this number."""
        import readline  # noqa: PLC0415

        if number == 0:
            before = readline.get_line_buffer()[: readline.get_begidx()]
            self._found = candidates(self._root, self._settings, before, word)
        return self._found[number] if number < len(self._found) else None


def candidates(root: click.Group, settings: CliSettings, before: str, word: str) -> list[str]:
    """What the word may become, after the words before it; each with a space behind it."""
    own = replace(settings, endpoints=list(settings.endpoints))
    finder = ShellComplete(root, {"obj": own}, PROGRAM, "")
    with suppress(ValueError, CommandError, click.ClickException):
        return [f"{item.value} " for item in finder.get_completions(split_words(before), word)]
    return []
