"""leasectl put, get and del."""

from __future__ import annotations

import os
import sys

import click

from cluster.cli.app import Command
from cluster.cli.settings import (
    EXIT_BAD_FEATURE,
    CommandError,
    GoInt,
    Settings,
    bad_arguments,
)
from cluster.cli.values import parse_int
from cluster.client.requests import EVERYTHING, prefix_end

WHOLE: tuple[bytes, bytes] = (EVERYTHING, EVERYTHING)
"""Key and range_end of the interval that holds every key."""


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="KEY [VALUE]")
@click.option("--lease", default="0", help="Lease ID (in hexadecimal) to attach to the key")
@click.option("--prev-kv", is_flag=True, help="Return the key-value pair before the change")
@click.option("--ignore-value", is_flag=True, help="Keep the key's current value")
@click.option("--ignore-lease", is_flag=True, help="Keep the key's current lease")
@click.pass_obj
def put(
    settings: Settings,
    words: tuple[str, ...],
    lease: str,
    prev_kv: bool,
    ignore_value: bool,
    ignore_lease: bool,
) -> None:
    """Put the given key into the store; without VALUE, it is read from standard input.

    A value that begins with a dash goes after two: put KEY -- -VALUE
    """
    if not words:
        bad_arguments("put command needs 1 argument and input from stdin or 2 arguments")
    if ignore_value and len(words) > 1:
        bad_arguments("put command needs only 1 argument when 'ignore-value' is set")
    printer = settings.printer("put")
    try:
        lease_id = parse_int(lease, 16)
    except ValueError as error:
        bad_arguments(f"bad lease ID ({error}), expecting ID in Hex")
    value = b"" if ignore_value else _value(words)
    with settings.connect() as client:
        result = client.put(
            os.fsencode(words[0]),
            value,
            lease=lease_id,
            prev_kv=prev_kv,
            ignore_value=ignore_value,
            ignore_lease=ignore_lease,
        )
    printer.put(result)


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="KEY [RANGE_END]")
@click.option("--prefix", is_flag=True, help="Get keys with matching prefix")
@click.option("--from-key", is_flag=True, help="Get keys that are greater or equal, by bytes")
@click.option("--limit", type=GoInt(), default=0, help="Maximum number of results")
@click.option("--rev", type=GoInt(), default=0, help="Specify the kv revision")
@click.option("--keys-only", is_flag=True, help="Get only the keys")
@click.option("--count-only", is_flag=True, help="Get only the count (with -w fields)")
@click.option("--print-value-only", is_flag=True, help="Only write values (with -w simple)")
@click.option("--consistency", default="l", help="Linearizable(l) or Serializable(s)")
@click.pass_obj
def get(
    settings: Settings,
    words: tuple[str, ...],
    prefix: bool,
    from_key: bool,
    limit: int,
    rev: int,
    keys_only: bool,
    count_only: bool,
    print_value_only: bool,
    consistency: str,
) -> None:
    """Get the key or a range of keys."""
    key, range_end = _interval("get", words, prefix, from_key)
    if keys_only and count_only:
        bad_arguments("`--keys-only` and `--count-only` cannot be set at the same time, choose one")
    if consistency not in ("l", "s"):
        raise CommandError(f'unknown consistency flag "{consistency}"', EXIT_BAD_FEATURE)
    printer = settings.printer("get")
    if count_only and settings.write_out != "fields":
        bad_arguments("--count-only is only for `--write-out=fields`")
    if print_value_only and settings.write_out != "simple":
        bad_arguments("print-value-only is only for `--write-out=simple`")
    with settings.connect() as client:
        result = client.range(
            key,
            range_end,
            limit=max(0, limit),
            revision=max(0, rev),
            serializable=consistency == "s",
            keys_only=keys_only,
            count_only=count_only,
        )
    printer.get(result, print_value_only)


@click.command("del", cls=Command)
@click.argument("words", nargs=-1, metavar="KEY [RANGE_END]")
@click.option("--prefix", is_flag=True, help="Delete keys with matching prefix")
@click.option("--from-key", is_flag=True, help="Delete keys that are greater or equal, by bytes")
@click.option("--prev-kv", is_flag=True, help="Return deleted key-value pairs")
@click.pass_obj
def delete(
    settings: Settings, words: tuple[str, ...], prefix: bool, from_key: bool, prev_kv: bool
) -> None:
    """Remove the specified key or range of keys [KEY, RANGE_END)."""
    if len(words) > 2:
        words = ()
    key, range_end = _interval("del", words, prefix, from_key)
    printer = settings.printer("del")
    with settings.connect() as client:
        result = client.delete(key, range_end, prev_kv=prev_kv)
    printer.delete(result)


def _interval(
    command: str, words: tuple[str, ...], prefix: bool, from_key: bool
) -> tuple[bytes, bytes | None]:
    """Key and range_end, from the arguments and flags of get and del. As in etcdctl, get ignores
    what follows the second argument."""
    if prefix and from_key:
        bad_arguments("`--prefix` and `--from-key` cannot be set at the same time, choose one")
    if not words:
        bad_arguments(
            f"{command} command needs one argument as key and an optional argument as range_end"
        )
    key = os.fsencode(words[0])
    if not (prefix or from_key):
        return key, os.fsencode(words[1]) if len(words) > 1 else None
    if len(words) > 1:
        bad_arguments(
            "too many arguments, only accept one argument when `--prefix` or `--from-key` is set"
        )
    if not key:
        return WHOLE
    return key, prefix_end(key) if prefix else EVERYTHING


def _value(words: tuple[str, ...]) -> bytes:
    if len(words) > 1:
        return os.fsencode(words[1])
    value = sys.stdin.buffer.read()
    if not value:
        bad_arguments("put command needs 1 argument and input from stdin or 2 arguments")
    return value
