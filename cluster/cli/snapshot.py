"""leasectl snapshot save, status and restore.

Only `save` talks to a cluster. The others read files that only a node understands, so they run the
node program as a process: this package refuses to know the inside of a node.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import click

from cluster.cli.app import Command
from cluster.cli.ending import EXIT_ERROR, EXIT_INTERRUPTED, CommandError, bad_arguments
from cluster.cli.output import complain, emit
from cluster.cli.settings import CliSettings
from cluster.errors import LeaseholdError

USAGE_STATUS: Final = 2
"""The node program's exit status for wrong arguments."""

EXIT_OF_SIGNAL: Final = 128
"""As in shells, the exit status of a program that a signal ended is this plus the number."""

INTERRUPTING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

SYSTEM_CALLS: Final = {"status": "stat", "restore": "open"}
"""The first system call of etcdctl for a file, which its error names when there is none."""

_MISSING: Final = re.compile(r"(.*): No such file or directory\Z")
_SPEAKER: Final = re.compile(r"\Aleasehold[\w ]*: ")


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="FILE")
@click.pass_obj
def save(settings: CliSettings, words: tuple[str, ...]) -> None:
    """Store the data of one node in a file; the node goes on serving meanwhile."""
    if len(words) != 1:
        bad_arguments("snapshot save expects one argument")
    settings.require_known_format()
    path = Path(words[0])
    endpoints = settings.endpoint_list()
    if len(endpoints) != 1:
        listed = " ".join(endpoints)
        text = f"snapshot must be requested to one selected node, not multiple [{listed}]"
        raise CommandError(text, EXIT_INTERRUPTED)
    try:
        with _interruptible(), settings.client() as client:
            client.snapshot_save(path)
    except _InterruptedError as error:
        complain(f"{error}: nothing was saved, and {path}.part is removed")
        raise SystemExit(EXIT_OF_SIGNAL + error.number) from None
    except LeaseholdError as error:  # one for its time limit is an OSError, too
        raise CommandError(error.message, EXIT_INTERRUPTED) from None
    except OSError as error:
        part = f"{path}.part"
        reason = (error.strerror or str(error)).lower()
        raise CommandError(
            f"could not open {part} (open {part}: {reason})", EXIT_INTERRUPTED
        ) from None
    emit(f"Snapshot saved at {words[0]}".encode())


class _InterruptedError(BaseException):
    """A signal to end has come. Not an Exception, so that no handler takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number


@contextmanager
def _interruptible() -> Iterator[None]:
    """Within the block, signals that end the process raise _InterruptedError, for a clean-up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise _InterruptedError(number)

    # SIGHUP stays ignored if nohup has set it so.
    caught = [each for each in INTERRUPTING if signal.getsignal(each) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in caught}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class NodeCommand(click.Command):
    """A command that leaves its options and its help to the node program."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take all words as they are."""
        ctx.args = args
        return args


@click.command(cls=NodeCommand)
@click.pass_context
def status(context: click.Context) -> None:
    """Print the hash, revision, number of keys and size of a snapshot file."""
    settings: CliSettings = context.obj
    words = [f"--write-out={settings.write_out}", *context.args]
    _node("status", words)


@click.command(cls=NodeCommand)
@click.pass_context
def restore(context: click.Context) -> None:
    """Make the data directory of a new member from a snapshot file."""
    _node("restore", context.args)


def _node(command: str, words: list[str]) -> None:
    """Run the node program on a file, and end as it does, with errors in etcdctl's form."""
    program = [sys.executable, "-m", "actors", "snapshot", command, *words]
    ended = subprocess.run(program, stderr=subprocess.PIPE, check=False)
    said = ended.stderr.decode(errors="replace").rstrip("\n")
    if ended.returncode == 0:
        if said:
            complain(said)
        return
    text = _SPEAKER.sub("", said)
    if ended.returncode == USAGE_STATUS:
        if "required: FILE" in text:
            text = f"snapshot {command} requires exactly one argument"
        bad_arguments(text)
    if (missing := _MISSING.match(text)) is not None:
        text = f"{SYSTEM_CALLS[command]} {missing[1]}: no such file or directory"
    raise CommandError(text, EXIT_ERROR)
