"""leasectl top: all members of a cluster at work, as the launcher's live view shows them."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Final

import click

from cluster.cli.app import Command
from cluster.cli.ending import EXIT_BAD_CONNECTION, EXIT_BAD_FEATURE, CommandError
from cluster.cli.output import emit
from cluster.cli.settings import CliSettings, GoDuration
from cluster.launcher.screens.terminal import can_move_cursor
from cluster.launcher.signals import STOPPING, Signals

if TYPE_CHECKING:
    from cluster.cli.observer import Observer
    from cluster.launcher.screens.canvas import Picture
    from cluster.launcher.screens.lines import StyledLine
    from cluster.launcher.screens.table import NodeTable
    from cluster.launcher.screens.view import ClusterView

REFRESH_SECONDS: Final = 1.0

LOOK_SECONDS: Final = 2.3
"""A single look takes this long once all members have answered. Members measure their round trips
once a second, and are asked as often."""

QUIT_KEYS: Final = frozenset(b"qQ\x04")
KEYS_BYTES: Final = 256


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.option(
    "--interval",
    type=GoDuration(),
    default=REFRESH_SECONDS,
    help="How often to draw  [default: 1s]",
)
@click.option("--plain", is_flag=True, help="Look once, and print what was seen")
@click.pass_obj
def top(settings: CliSettings, words: tuple[str, ...], interval: float, plain: bool) -> None:
    """Show the members of the cluster at work, until q is typed.

    Any endpoint will do: the others are found by it. With --plain, with -w json, or where stdout is
    no terminal, look for two seconds and print once what was seen. In the table - is what nobody
    could tell, sync what 99 of 100 syncs of the log did not exceed, and rtt a follower's round trip
    to the leader, or the leader's to a majority. A hash that differs from the others' ends in !.
    """
    if settings.write_out not in {"simple", "json"}:
        settings.require_known_format()
        raise CommandError(f"{settings.write_out} not supported as output format", EXIT_BAD_FEATURE)
    from cluster.cli.observer import Observer  # noqa: PLC0415 - `top --help` needs no sockets

    credentials = settings.credentials()
    if credentials is not None:
        with settings.connect():
            pass  # a wrong password is told now
    observer = Observer(settings.addresses(), settings.identity(), credentials)
    try:
        if settings.write_out == "json" or plain or not can_move_cursor():
            _look_once(observer, settings)
        else:
            _watch(observer, interval)
    finally:
        observer.close()


# --- one look ---


def _look_once(observer: Observer, settings: CliSettings) -> None:
    deadline = time.monotonic() + settings.dial_timeout_seconds
    while time.monotonic() < deadline and not observer.has_found_all:
        observer.serve(deadline)
    if not observer.has_answers:
        named = [_with_reason(each, observer.reason(each)) for each in settings.endpoint_list()]
        raise CommandError(f"no endpoint answers: {', '.join(named)}", EXIT_BAD_CONNECTION)
    until = time.monotonic() + LOOK_SECONDS
    while time.monotonic() < until:
        observer.serve(until)
    view = observer.view(time.monotonic())
    if settings.write_out == "json":
        emit(json.dumps(_document(view)).encode())
    else:
        emit("\n".join(text_of(view)).encode("utf-8", "replace"))


def _with_reason(endpoint: str, reason: str) -> str:
    return f"{endpoint} ({reason})" if reason else endpoint


def _document(view: ClusterView) -> dict[str, object]:
    """What is seen, in JSON; null is what nobody could tell."""
    nodes = []
    for row in view.nodes:
        fields = row._asdict()
        del fields["pid"], fields["note"]  # only a launcher knows them
        nodes.append(fields)
    leads = {"leader": view.leader, "term": view.term, "revision": view.revision}
    return {**leads, "nodes": nodes}


def text_of(view: ClusterView) -> list[str]:
    """The lines of one look, for a file or another program."""
    from cluster.launcher.screens.lines import plain  # noqa: PLC0415 - rich, where it is needed

    columns = 1_000  # there is no terminal to be too narrow
    return [_headline(view), *(plain(line).rstrip() for line in _table().lines(view, columns))]


def _table() -> NodeTable:
    from cluster.launcher.screens.table import NodeTable  # noqa: PLC0415

    return NodeTable(without=("pid", "try"))


# --- the live view ---


def _watch(observer: Observer, interval: float) -> None:
    from cluster.launcher.screens.canvas import Canvas  # noqa: PLC0415

    canvas, table = Canvas(), _table()
    columns = 0
    with Signals() as signals:
        canvas.open()
        due, goes_on = 0.0, True
        while goes_on:
            now = time.monotonic()
            if now >= due and canvas.is_ready:
                due = now + interval
                if columns != (columns := canvas.size().columns):
                    table.forget_widths()
                size = canvas.size()
                canvas.draw(size, _picture(observer.view(now), table, size, interval), (), list)
            reads = canvas.reads_keys and canvas.is_in_foreground
            keys = [sys.stdin.fileno()] if reads else []
            ready = observer.serve(max(due, now + 0.01), [signals.fd, *keys])
            if signals.fd in ready:
                arrived = signals.take()
                goes_on = not any(number in STOPPING for number in arrived)
                if signal.SIGCONT in arrived:
                    canvas.wake()
                due = 0.0
            if any(key in ready for key in keys):
                goes_on = goes_on and not _quits()
        canvas.close(_picture(observer.view(time.monotonic()), table, canvas.size(), interval), ())


def _quits() -> bool:
    """Whether the user has typed q, or has hung up."""
    try:
        typed = os.read(sys.stdin.fileno(), KEYS_BYTES)
    except OSError:
        return True
    return not typed or not QUIT_KEYS.isdisjoint(typed)


def _picture(
    view: ClusterView, table: NodeTable, size: os.terminal_size, interval: float
) -> Picture:
    from cluster.launcher.screens.canvas import Picture  # noqa: PLC0415
    from cluster.launcher.screens.lines import cut  # noqa: PLC0415

    how = f"  every {interval:g} s, q quits"
    head: StyledLine = ((_headline(view), "bold"), (how, "dim"))
    lines = [cut(head, size.columns), (), *table.lines(view, size.columns)]
    lines = [cut(line, size.columns) for line in lines[: size.lines - 1]]
    return Picture(lines, len(lines) - 1, 0)


def _headline(view: ClusterView) -> str:
    count = len(view.nodes)
    nodes = "1 node" if count == 1 else f"{count} nodes"
    if view.leader is None:
        return f"{nodes}, no leader"
    return f"{nodes}, {view.leader} leads in term {view.term}, revision {view.revision}"
