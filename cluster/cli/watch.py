"""leasectl watch: follow changes, from the command line or from lines typed one by one."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from cluster.cli import children, completing
from cluster.cli.app import Command
from cluster.cli.ending import (
    EXIT_ERROR,
    EXIT_INTERRUPTED,
    EXIT_INVALID_INPUT,
    CommandError,
    bad_arguments,
)
from cluster.cli.output import complain
from cluster.cli.quoting import quoted, split_words
from cluster.cli.settings import ENVIRONMENT_PREFIXES, CliSettings, GoInt
from cluster.client.requests import EVERYTHING, prefix_end
from cluster.errors import (
    CompactedError,
    LeaseholdError,
    PermissionDeniedError,
    WatchCanceledError,
)

if TYPE_CHECKING:
    from cluster.cli.printers import Printer
    from cluster.client.api import Client
    from cluster.client.results import Event, WatchBatch
    from cluster.client.threads.objects import Watch

BAD_NUMBER: Final = "bad number of arguments"
FROM_KEY_WORD: Final = r"\x00"
"""The text for a range_end of NUL ("no end"): an environment variable cannot hold a NUL."""

LINE_BYTES_MAX: Final = 16 << 20
"""A longer line would not fit into a request."""

ENDINGS: Final = (CompactedError, WatchCanceledError, PermissionDeniedError)
"""How the server ends a watch, or refuses it."""

SHELL: Final = "sh", "-c"

_COMMAND: Final = "leasectl.watch.command"


class WatchRequest(NamedTuple):
    """The keys and options of one watch, and the command to run for each of its events."""

    key: bytes
    range_end: bytes | None
    options: dict[str, Any]
    command: tuple[str, ...]


class WatchCommand(Command):
    """A command whose words after `--` are another command's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Set the words after the separator aside, and parse the others."""
        words, command = _separated(args)
        ctx.meta[_COMMAND] = command
        return super().parse_args(ctx, words)


@click.command(cls=WatchCommand)
@click.argument(
    "words", nargs=-1, metavar="[KEY [RANGE_END]] [-- COMMAND ...]", shell_complete=completing.keys
)
@click.option("-i", "--interactive", is_flag=True, help="Read watches from lines typed")
@click.option("--prefix", is_flag=True, help="Watch on a prefix")
@click.option("--rev", type=GoInt(), default=0, help="Revision to start watching")
@click.option("--prev-kv", is_flag=True, help="Get the key-value pair before each event")
@click.option("--progress-notify", is_flag=True, help="Say now and then how far an idle watch is")
@click.option("--exec", "shell_line", metavar="LINE", help="Run this for each event with sh -c")
@click.pass_context
def watch(context: click.Context, /, interactive: bool, **parameters: Any) -> None:
    """Watch events on a key, a range or a prefix, until Ctrl-C.

    COMMAND, or the LINE of --exec (not in etcd), runs for each event, with ETCD_WATCH_REVISION,
    ETCD_WATCH_EVENT_TYPE, ETCD_WATCH_KEY and ETCD_WATCH_VALUE in its environment. Without KEY,
    $LEASECTL_WATCH_KEY and $LEASECTL_WATCH_RANGE_END say what is watched. With -i, each line of
    standard input is a watch [options] KEY [RANGE_END] [-- COMMAND ...], or the word progress.
    """
    settings: CliSettings = context.obj
    default = _environment_interval()
    if interactive:
        printer = settings.printer("watch")
        with settings.connect() as client:
            Conversation(client, printer, default).run()
    request = _request(context.meta[_COMMAND], default, **parameters)
    printer = settings.printer("watch")
    with settings.connect() as client:
        _follow_until_canceled(client, request, printer)
    raise CommandError("watch is canceled by the server", EXIT_INTERRUPTED)


class Conversation:
    """The lines of `watch -i`, which begin watches or ask for their progress, on one client."""

    def __init__(self, client: Client, printer: Printer, default: tuple[str, ...]) -> None:
        self._client = client
        self._printer = printer
        self._default = default
        self._watches: list[Watch] = []
        self._printing = threading.Lock()
        self._has_ended = False

    def run(self) -> None:
        """Carry out each line; the end of the input is an error, as in etcdctl."""
        while (line := sys.stdin.buffer.readline(LINE_BYTES_MAX)).endswith(b"\n"):
            self._line(os.fsdecode(line).removesuffix("\n"))
        self._has_ended = True
        raise CommandError("error reading watch request line: EOF", EXIT_INVALID_INPUT)

    def _line(self, line: str) -> None:
        try:
            words = split_words(line)
        except ValueError as error:
            raise CommandError(str(error), EXIT_INVALID_INPUT) from None
        match words:
            case []:
                complain(f"Invalid command: {line} (watch and progress supported)")
            case ["watch"] if not self._default:
                complain(f"Invalid command {line} (command type or key is not provided)")
            case ["watch", *arguments]:
                self._begin(_typed_request(arguments, self._default))
            case ["progress", *_]:
                for watch in self._watches:
                    watch.progress()
            case _:
                complain(f"Invalid command {line} (only support watch)")

    def _begin(self, request: WatchRequest) -> None:
        """Open a watch before the next line is read, then follow it in a thread of its own."""
        try:
            watch = self._client.watch(request.key, request.range_end, **request.options)
        except ENDINGS as error:
            _canceled(None, error, self._printer)
            return
        self._watches.append(watch)
        threading.Thread(target=self._follow, args=(watch, request.command), daemon=True).start()

    def _follow(self, watch: Watch, command: tuple[str, ...]) -> None:
        try:
            for batch in watch.batches():
                with self._printing:
                    _show(batch, command, self._printer)
        except SystemExit:
            os._exit(EXIT_ERROR)  # the main thread is blocked in reading a line
        except LeaseholdError as error:
            if not self._has_ended:
                with self._printing:
                    _canceled(watch, error, self._printer)
            self._watches.remove(watch)


def _follow_until_canceled(client: Client, request: WatchRequest, printer: Printer) -> None:
    watch: Watch | None = None
    try:
        with client.watch(request.key, request.range_end, **request.options) as watch:
            for batch in watch.batches():
                _show(batch, request.command, printer)
    except ENDINGS as error:
        _canceled(watch, error, printer)


def _canceled(watch: Watch | None, error: LeaseholdError, printer: Printer) -> None:
    reason = error.message
    if isinstance(error, PermissionDeniedError):
        reason = f"rpc error: code = PermissionDenied desc = {reason}"  # as Go's client tells it
    complain(f"watch was canceled ({reason})")
    if watch is None:
        printer.watch_refused()
    else:
        printer.watch_canceled(watch.header, getattr(error, "compact_revision", 0))


def _show(batch: WatchBatch, command: tuple[str, ...], printer: Printer) -> None:
    """Print a batch, then run the command for each of its events."""
    if not batch.events:
        printer.watch_progress(batch.header.revision)
    printer.watch(batch)
    if command:
        for event in batch.events:
            _run(command, event, batch.header.revision)


def _run(command: tuple[str, ...], event: Event, revision: int) -> None:
    variables = {
        "ETCD_WATCH_REVISION": str(revision),
        "ETCD_WATCH_EVENT_TYPE": quoted(event.type.encode()),
        "ETCD_WATCH_KEY": quoted(event.kv.key),
        "ETCD_WATCH_VALUE": quoted(event.kv.value),
    }
    try:
        status = children.run(command, variables)
        if status == 0:
            return
        reason = children.ending(status)
    except children.StartError as error:
        reason = str(error)
    words = " ".join(quoted(os.fsencode(word)) for word in command)
    complain(f"command [{words}] error ({reason})")
    raise SystemExit(EXIT_ERROR)


# --- from words to a watch ---


def _typed_request(words: list[str], default: tuple[str, ...]) -> WatchRequest:
    """The watch of a typed line; as in etcdctl, a line with wrong flags ends the program."""
    before, command = _separated(words)
    plain = watch.alone()
    try:
        with plain.make_context("watch", before) as context:
            parameters = dict(context.params)
    except CommandError as error:
        bad_arguments(error.message)
    del parameters["interactive"]
    return _request(command, default, **parameters)


def _request(
    command: tuple[str, ...] | None,
    default: tuple[str, ...],
    words: tuple[str, ...],
    prefix: bool,
    rev: int,
    prev_kv: bool,
    progress_notify: bool,
    shell_line: str | None,
) -> WatchRequest:
    if shell_line is not None:
        if command is not None:
            bad_arguments("`--exec` and a command behind `--` are mutually exclusive")
        command = (*SHELL, shell_line)
    if command == ():
        bad_arguments(f"{BAD_NUMBER} (found separator --, but no commands)")
    if words and default:
        bad_arguments(f"{BAD_NUMBER} (found conflicting environment key)")
    words = words or default
    if not words:
        bad_arguments(BAD_NUMBER)
    key, range_end = os.fsencode(words[0]), None
    if len(words) == 2:  # with more, etcdctl watches the first alone
        range_end = EVERYTHING if words[1] == FROM_KEY_WORD else os.fsencode(words[1])
    if prefix and range_end is not None:
        bad_arguments("`range_end` and `--prefix` are mutually exclusive")
    if prefix:
        range_end = prefix_end(key)
    if not key:
        key, range_end = EVERYTHING, range_end or EVERYTHING
    options = {"start_revision": rev, "prev_kv": prev_kv, "progress_notify": progress_notify}
    return WatchRequest(key, range_end, options, command or ())


def _environment_interval() -> tuple[str, ...]:
    """The key in the environment, and the range_end if there is one."""
    for prefix in ENVIRONMENT_PREFIXES:
        key = os.environ.get(f"{prefix}WATCH_KEY", "")
        range_end = os.environ.get(f"{prefix}WATCH_RANGE_END", "")
        if range_end and not key:
            said = f"{prefix}WATCH_RANGE_END={quoted(os.fsencode(range_end))}"
            bad_arguments(f"{prefix}WATCH_KEY is empty but got {said}")
        if key:
            return (key, range_end) if range_end else (key,)
    return ()


def _separated(words: list[str]) -> tuple[list[str], tuple[str, ...] | None]:
    """The words before `--`, and those after it; None if there is no separator."""
    if "--" not in words:
        return words, None
    index = words.index("--")
    return words[:index], tuple(words[index + 1 :])
