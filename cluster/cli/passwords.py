"""Where passwords come from: a prompt without echo, a line of stdin, or a file. None is printed."""

from __future__ import annotations

import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from cluster.cli.ending import EXIT_BAD_CONNECTION, CommandError, bad_arguments
from cluster.cli.output import emit


def ask(prompt: str) -> str:
    """A line from the terminal, which does not show it, or from stdin if that is none."""
    with _without_echo(sys.stdin):
        emit(prompt.encode(), end=b"")
        line = sys.stdin.readline()
    emit(b"")
    return line.rstrip("\r\n")


def ask_new(name: str) -> str:
    """A new password for a user, typed twice."""
    password = ask(f"Password of {name}: ")
    if not password:
        bad_arguments("empty password")
    if ask(f"Type password of {name} again for confirmation: ") != password:
        bad_arguments("given passwords are different")
    return password


def read_word() -> str:
    """The first word of the next line of stdin, as etcdctl reads a password with
    `--interactive=false`; empty if there is none."""
    words = sys.stdin.readline().split(maxsplit=1)
    return words[0] if words else ""


def from_file(path: str) -> str:
    """The first line of a file."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            return file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        # Of a decoding error only its kind is told: its text has what was read.
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CommandError(f"password file {path}: {reason}", EXIT_BAD_CONNECTION) from None


@contextmanager
def _without_echo(stream: TextIO) -> Iterator[None]:
    if not stream.isatty():
        yield
        return
    descriptor = stream.fileno()
    before = termios.tcgetattr(descriptor)
    silent = termios.tcgetattr(descriptor)
    silent[3] &= ~termios.ECHO  # the local modes
    # What was typed ahead was shown already: it is no password.
    termios.tcsetattr(descriptor, termios.TCSAFLUSH, silent)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
