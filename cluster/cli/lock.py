"""leasectl lock and elect: hold a lock or the lead until Ctrl-C, or while a command runs."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Final

import click

from cluster.cli import children
from cluster.cli.app import Command
from cluster.cli.ending import CommandError, bad_arguments
from cluster.cli.output import complain
from cluster.cli.settings import CliSettings, GoSeconds

if TYPE_CHECKING:
    from cluster.cli.printers import Printer
    from cluster.client.api import Client
    from cluster.client.threads.recipes import Election, Lock

LOCK_TTL_SECONDS: Final = 10
"""How long others wait for the lock of a leasectl that was killed."""


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="NAME [COMMAND ...]")
@click.option(
    "--ttl",
    type=GoSeconds(),
    default=LOCK_TTL_SECONDS,
    help="Seconds after which the lock of a killed process is free",
)
@click.pass_obj
def lock(settings: CliSettings, words: tuple[str, ...], ttl: float) -> None:
    """Acquire a lock, print its key, and hold it until Ctrl-C.

    COMMAND runs while the lock is held, with ETCD_LOCK_KEY and ETCD_LOCK_REV in its environment;
    its exit status is leasectl's. If the lock is lost meanwhile, leasectl warns at once, COMMAND
    goes on, and leasectl fails at the end.
    """
    if not words:
        bad_arguments("lock takes a lock name argument and an optional command to execute")
    printer = settings.printer("lock")
    with (
        settings.connect() as client,
        _stoppable(),
        client.lock(os.fsencode(words[0]), ttl) as held,
    ):
        if len(words) == 1:
            _hold(client, held, printer, "session expired")
            return
        _run(held, words[1:])


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="NAME [PROPOSAL]")
@click.option("-l", "--listen", is_flag=True, help="Do not stand, but print each leader")
@click.pass_obj
def elect(settings: CliSettings, words: tuple[str, ...], listen: bool) -> None:
    """Campaign with a proposal and lead until Ctrl-C, or print each leader."""
    if not 1 <= len(words) <= 2:
        bad_arguments("elect takes one election name argument and an optional proposal argument")
    if listen and len(words) == 2:
        bad_arguments("proposal given but -l is set")
    if not listen and len(words) == 1:
        bad_arguments("no proposal argument but -l not set")
    printer = settings.printer("elect")
    with (
        settings.connect() as client,
        _stoppable(),
        client.election(os.fsencode(words[0])) as election,
    ):
        if listen:
            _listen(election, printer)
            return
        election.campaign(os.fsencode(words[1]))
        _hold(client, election, printer, "elect: session expired")


def _run(held: Lock, command: tuple[str, ...]) -> None:
    variables = {"ETCD_LOCK_KEY": os.fsdecode(held.key), "ETCD_LOCK_REV": str(held.revision)}
    said = threading.Event()

    def tell() -> None:
        # As with etcdctl, the command goes on: leasectl cannot know whether it may be killed now.
        if not said.is_set():
            said.set()
            complain(f"Warning: the lock is lost while the command runs: {held.error}")

    try:
        with held.when_lost(tell):
            status = children.run(command, variables)
    except children.StartError as error:
        raise CommandError(str(error)) from None
    if status:
        raise CommandError(children.ending(status), status if status > 0 else 128 - status)


def _hold(client: Client, held: Lock | Election, printer: Printer, session_lost: str) -> None:
    """Print the key held, and wait for Ctrl-C; CommandError when it is lost before."""
    with suppress(KeyboardInterrupt):
        printer.get(client.range(held.key))
        held.lost.wait()
        reason = str(held.error)
        raise CommandError(session_lost if "session" in reason else reason)


def _listen(election: Election, printer: Printer) -> None:
    from cluster.client.results import Header, RangeResult  # noqa: PLC0415 - as connect() does

    with suppress(KeyboardInterrupt), election.observe() as leaders:
        for kv in leaders:
            header = Header(0, 0, kv.mod_revision, 0)
            printer.get(RangeResult(header, (kv,), more=False, count=1))


@contextmanager
def _stoppable() -> Iterator[None]:
    """Within the block SIGTERM acts as Ctrl-C does: the lock or the lead is given up."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
