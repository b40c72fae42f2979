"""leasectl export and import: keys and values as lines of JSON, to keep or to carry elsewhere."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

import click

from cluster.cli import completing
from cluster.cli.app import Command
from cluster.cli.ending import EXIT_INVALID_INPUT, CommandError, bad_arguments
from cluster.cli.output import complain, emit
from cluster.cli.progress_line import ProgressLine
from cluster.cli.readable import bytes_field, bytes_of, line
from cluster.cli.settings import CliSettings, GoInt

if TYPE_CHECKING:
    from cluster.client.api import Client

LINE_BYTES_MAX: Final = 16 << 20
"""A longer line would not fit into a request."""

LINES_AT_ONCE: Final = 256

TXN_OPS: Final = 128
"""The operations that a node allows in a transaction, unless it is told otherwise."""

TXN_BYTES: Final = 512 * 1024
"""A transaction is sent before its keys and values exceed this size: a node takes 1.5 MiB."""


class Pair(NamedTuple):
    """A key and its value."""

    key: bytes
    value: bytes


@click.command("export", cls=Command)
@click.argument("words", nargs=-1, metavar="[KEY [RANGE_END]]", shell_complete=completing.keys)
@click.option("--prefix", is_flag=True, help="Export keys with matching prefix")
@click.option("--rev", type=GoInt(), default=0, help="As they were at this revision")
@click.pass_obj
def export_keys(settings: CliSettings, words: tuple[str, ...], prefix: bool, rev: int) -> None:
    """Write keys and values as lines of JSON, all as they were at one revision (not in etcd).

    Without KEY: all keys. Leases are not written. Bytes that are not UTF-8 are in base64.
    """
    if len(words) > 2 or (prefix and len(words) != 1):
        bad_arguments("export takes a key and a range_end, or a key with `--prefix`, or nothing")
    key, range_end = ([os.fsencode(word) for word in words] + [None, None])[:2]
    done = 0
    with (
        settings.connect() as client,
        client.scan(key, range_end, prefix=prefix, revision=max(0, rev)) as keys,
    ):
        progress = ProgressLine("keys", keys.count)
        lines = (line({**bytes_field("key", k.key), **bytes_field("value", k.value)}) for k in keys)
        while some := list(islice(lines, LINES_AT_ONCE)):
            emit(*some)
            done += len(some)
            progress.show(done)
        progress.end(done)


@click.command("import", cls=Command)
@click.argument("words", nargs=-1, metavar="[FILE]")
@click.option(
    "--max-txn-ops",
    type=GoInt(),
    default=TXN_OPS,
    show_default=True,
    help="Keys in a transaction, as the nodes allow it",
)
@click.pass_obj
def import_keys(settings: CliSettings, words: tuple[str, ...], max_txn_ops: int) -> None:
    """Put the keys of a file, or of standard input, as `export` writes them (not in etcd).

    Each line is an object with `key` and `value`, or `key_base64` and `value_base64`; other fields
    are ignored, so that lines of `get -w jsonl` will do. Many keys are put at a time: if a line is
    wrong, those of the lines before it are there.
    """
    if len(words) > 1:
        bad_arguments("import takes one file, or standard input")
    if max_txn_ops < 1:
        bad_arguments("`--max-txn-ops` is at least 1")
    if not words:
        done = _import(settings, sys.stdin.buffer, max_txn_ops)
    else:
        try:
            file = open(words[0], "rb")  # noqa: PTH123, SIM115 - closed below
        except OSError as error:
            raise CommandError(f"{words[0]}: {error.strerror}", EXIT_INVALID_INPUT) from None
        with file:
            done = _import(settings, file, max_txn_ops)
    complain(f"imported {done} keys")


def _import(settings: CliSettings, file: BinaryIO, ops_max: int) -> int:
    """The number of keys that were put."""
    progress, done = ProgressLine("keys"), 0
    with settings.connect() as client:
        for batch in batches(_pairs(file), ops_max):
            put_all(client, batch)
            done += len(batch)
            progress.show(done)
    progress.end(done)
    return done


def put_all(client: Client, batch: list[Pair]) -> None:
    """Put them in one transaction."""
    from cluster.client import ops  # noqa: PLC0415 - as connect() does

    client.txn().then(*(ops.put(pair.key, pair.value) for pair in batch)).commit()


def batches(pairs: Iterable[Pair], ops_max: int) -> Iterator[list[Pair]]:
    """What one transaction may put: not too much, and no key twice. What was read before an error
    comes before it."""
    batch: dict[bytes, Pair] = {}
    size = 0
    try:
        for pair in pairs:
            added = len(pair.key) + len(pair.value)
            if batch and (len(batch) >= ops_max or size + added > TXN_BYTES or pair.key in batch):
                yield list(batch.values())
                batch, size = {}, 0
            batch[pair.key] = pair
            size += added
    except CommandError:
        if batch:
            yield list(batch.values())
        raise
    if batch:
        yield list(batch.values())


def _pairs(file: BinaryIO) -> Iterator[Pair]:
    """The keys and values of the lines. A wrong line ends the command, and is named."""
    number = 0
    while raw := file.readline(LINE_BYTES_MAX):
        number += 1
        if len(raw) >= LINE_BYTES_MAX:
            raise CommandError(f"line {number} is too long", EXIT_INVALID_INPUT)
        try:
            fields = json.loads(raw)
            if not isinstance(fields, dict):
                raise ValueError("an object is wanted")
            yield Pair(bytes_of(fields, "key"), bytes_of(fields, "value"))
        except (ValueError, RecursionError) as error:
            raise CommandError(f"line {number}: {error}", EXIT_INVALID_INPUT) from None
