"""leasectl watch."""

from __future__ import annotations

import os

import click

from cluster.cli.app import Command, complain
from cluster.cli.settings import (
    EXIT_INTERRUPTED,
    CommandError,
    GoInt,
    Settings,
    bad_arguments,
)
from cluster.client.requests import EVERYTHING, prefix_end
from cluster.errors import CompactedError, WatchCanceledError


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="KEY [RANGE_END]")
@click.option("--prefix", is_flag=True, help="Watch on a prefix")
@click.option("--rev", type=GoInt(), default=0, help="Revision to start watching")
@click.option("--prev-kv", is_flag=True, help="Get the key-value pair before each event")
@click.pass_obj
def watch(
    settings: Settings, words: tuple[str, ...], prefix: bool, rev: int, prev_kv: bool
) -> None:
    """Watch events on a key, a range or a prefix, until Ctrl-C."""
    if not 1 <= len(words) <= 2:
        bad_arguments("bad number of arguments")
    if prefix and len(words) > 1:
        bad_arguments("`range_end` and `--prefix` are mutually exclusive")
    printer = settings.printer("watch")
    key = os.fsencode(words[0])
    range_end = os.fsencode(words[1]) if len(words) > 1 else None
    if prefix:
        range_end = prefix_end(key)
    if not key:
        key, range_end = EVERYTHING, range_end or EVERYTHING
    try:
        with (
            settings.connect() as client,
            client.watch(key, range_end, start_revision=rev, prev_kv=prev_kv) as events,
        ):
            for batch in events.batches():
                printer.watch(batch)
    except (CompactedError, WatchCanceledError) as error:
        complain(f"watch was canceled ({error.message})")
        raise CommandError("watch is canceled by the server", EXIT_INTERRUPTED) from None
