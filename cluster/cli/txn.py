"""leasectl txn: one transaction, typed or piped in."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Final, TypeVar

import click

from cluster.cli.app import Command
from cluster.cli.ending import bad_arguments
from cluster.cli.output import emit
from cluster.cli.settings import CliSettings
from cluster.cli.txn_text import invalid_input, parse_compare, parse_operation

T = TypeVar("T")

LINE_BYTES_MAX: Final = 16 << 20
"""A longer line would not fit into a request."""


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.option("-i", "--interactive", is_flag=True, help="Say what is to be typed next")
@click.pass_obj
def txn(settings: CliSettings, words: tuple[str, ...], interactive: bool) -> None:
    """Process all the requests of standard input in one transaction.

    Three blocks of lines, each ended by an empty one: compares such as ver("key") > "0", the
    requests to make if all of them hold, and those to make if not.

    Compares: ver, create, mod, val, lease (in hexadecimal) and count (not in etcd) of a key, or of
    all keys of an interval (not in etcd), as in count("a", "b") < "5" or ver("a/", prefix) = "1";
    operators are = != < and >. Requests: put, get, del and incr (not in etcd).
    """
    if words:
        bad_arguments("txn command does not accept argument")
    printer = settings.printer("txn")
    ask = emit if interactive else _say_nothing
    ask(b"compares:")
    compares = _block(parse_compare)
    ask(b"success requests (get, put, del):")
    success = _block(parse_operation)
    ask(b"failure requests (get, put, del):")
    failure = _block(parse_operation)
    with settings.connect() as client:
        result = client.txn().if_(*compares).then(*success).else_(*failure).commit()
    printer.txn(result)


def _block(parse: Callable[[str], T]) -> list[T]:
    """Parse the lines up to an empty one."""
    parsed: list[T] = []
    while True:
        line = sys.stdin.buffer.readline(LINE_BYTES_MAX)
        if not line.endswith(b"\n"):
            raise invalid_input("line is too long" if len(line) >= LINE_BYTES_MAX else "EOF")
        text = os.fsdecode(line).strip()
        if not text:
            return parsed
        parsed.append(parse(text))


def _say_nothing(text: bytes) -> None:
    """Print no prompts, as the lines are piped in."""
