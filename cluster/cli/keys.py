"""leasectl put, get, del and incr, and the same as operations of a transaction."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from cluster.cli import completing
from cluster.cli.app import Command
from cluster.cli.ending import EXIT_BAD_FEATURE, CommandError, bad_arguments
from cluster.cli.output import emit
from cluster.cli.settings import CliSettings, GoInt, GoSeconds
from cluster.client.requests import EVERYTHING, prefix_end, request
from cluster.protocol import RangeOptions
from cluster.values import parse_int

if TYPE_CHECKING:
    from cluster.client.ops import Op

WHOLE: tuple[bytes, bytes] = (EVERYTHING, EVERYTHING)
"""Key and range_end of the interval that holds every key."""

SORT_ORDERS: Final = {"": "NONE", "ASCEND": "ASCEND", "DESCEND": "DESCEND"}
SORT_TARGETS: Final = {
    "": "KEY",
    "CREATE": "CREATE",
    "KEY": "KEY",
    "MODIFY": "MOD",
    "VALUE": "VALUE",
    "VERSION": "VERSION",
}


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="KEY [VALUE]", shell_complete=completing.keys)
@click.option("--lease", default="0", help="Lease ID (in hexadecimal) to attach to the key")
@click.option("--ttl", type=GoSeconds(), default=0, help="Seconds until the key is gone again")
@click.option("--prev-kv", is_flag=True, help="Return the key-value pair before the change")
@click.option("--ignore-value", is_flag=True, help="Keep the key's current value")
@click.option("--ignore-lease", is_flag=True, help="Keep the key's current lease")
@click.pass_obj
def put(settings: CliSettings, /, **parameters: Any) -> None:
    """Put a key into the store; without VALUE, the value is read from standard input.

    For a value that begins with a dash, write two dashes before it: put KEY -- -VALUE
    """
    fields = _put_fields(**parameters)
    printer = settings.printer("put")
    with settings.connect_for_keys() as client:
        result = client.put(**fields)
    printer.put(result)


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="KEY [RANGE_END]", shell_complete=completing.keys)
@click.option("--prefix", is_flag=True, help="Get keys with matching prefix")
@click.option("--from-key", is_flag=True, help="Get keys that are greater or equal, by bytes")
@click.option("--limit", type=GoInt(), default=0, help="Maximum number of results")
@click.option("--rev", type=GoInt(), default=0, help="Specify the kv revision")
@click.option("--order", default="", help="Order of results: ASCEND or DESCEND")
@click.option("--sort-by", default="", help="CREATE, KEY, MODIFY, VALUE or VERSION")
@click.option("--keys-only", is_flag=True, help="Get only the keys")
@click.option("--count-only", is_flag=True, help="Get only the count (with -w fields)")
@click.option("--print-value-only", is_flag=True, help="Only write values (with -w simple)")
@click.option("--consistency", default="l", help="Linearizable(l) or Serializable(s)")
@click.option("--min-mod-rev", type=GoInt(), default=0, help="Only keys last put at or after it")
@click.option("--max-mod-rev", type=GoInt(), default=0, help="Only keys last put at or before it")
@click.option("--min-create-rev", type=GoInt(), default=0, help="Only keys created at or after it")
@click.option("--max-create-rev", type=GoInt(), default=0, help="Only keys created at or before it")
@click.option("--history", is_flag=True, help="All changes of one key, newest first")
@click.option("--tree", is_flag=True, help="The keys as a tree, by their slashes (-w simple)")
@click.pass_obj
def get(settings: CliSettings, /, **parameters: Any) -> None:
    """Get the key or a range of keys.

    With --history: every change of one key that is not compacted away, newest first. --limit
    applies, and --rev leaves out later changes.
    """
    if parameters["history"]:
        _history(settings, **parameters)
        return
    key, range_end, options = _get_fields(**parameters)
    printer = settings.printer("get")
    if parameters["count_only"] and settings.write_out != "fields":
        bad_arguments("--count-only is only for `--write-out=fields`")
    if parameters["print_value_only"] and settings.write_out != "simple":
        bad_arguments("print-value-only is only for `--write-out=simple`")
    if parameters["tree"]:
        _check_tree(settings, **parameters)
        options["keys_only"] = True
    with settings.connect_for_keys() as client:
        result = client.range(key, range_end, **options)
    if parameters["tree"]:
        from cluster.cli.tree import tree  # noqa: PLC0415 - other reads draw none

        emit(*(branch.encode() for branch in tree(kv.key for kv in result)))
    else:
        printer.get(result, parameters["print_value_only"])


@click.command("del", cls=Command)
@click.argument("words", nargs=-1, metavar="KEY [RANGE_END]", shell_complete=completing.keys)
@click.option("--prefix", is_flag=True, help="Delete keys with matching prefix")
@click.option("--from-key", is_flag=True, help="Delete keys that are greater or equal, by bytes")
@click.option("--range", "is_range", is_flag=True, help="As etcd 3.6: [KEY, RANGE_END) is meant")
@click.option("--prev-kv", is_flag=True, help="Return deleted key-value pairs")
@click.pass_obj
def delete(settings: CliSettings, /, **parameters: Any) -> None:
    """Remove the specified key or range of keys [KEY, RANGE_END)."""
    key, range_end = _delete_interval(**parameters)
    printer = settings.printer("del")
    with settings.connect_for_keys() as client:
        result = client.delete(key, range_end, prev_kv=parameters["prev_kv"])
    printer.delete(result)


@click.command("incr", cls=Command)
@click.argument("words", nargs=-1, metavar="KEY [DELTA]", shell_complete=completing.keys)
@click.pass_obj
def increment(settings: CliSettings, words: tuple[str, ...]) -> None:
    """Add DELTA (1 if left out) to the decimal number a key holds, and print the sum (not in etcd).

    A key that does not exist counts as 0; one that does keeps its lease.
    incr KEY -- -DELTA subtracts.
    """
    from cluster.client.replies import of  # noqa: PLC0415 - as connect() does
    from cluster.client.results import IncrementResult  # noqa: PLC0415

    key, delta = _increment_arguments(words)
    printer = settings.printer("incr")
    with settings.connect_for_keys() as client:
        result = client.request(request("increment", key=key, delta=delta), of(IncrementResult))
    printer.plain(result)


# --- the commands as operations of a transaction, with the same arguments and checks ---


def put_op(**parameters: Any) -> Op:
    """The put for these parameters of the command."""
    from cluster.client import ops  # noqa: PLC0415 - `leasectl put` needs no transactions

    # The rest of standard input are lines of the transaction, and not a value.
    return ops.put(**_put_fields(**parameters, has_stdin=False))


def get_op(**parameters: Any) -> Op:
    """The read for these parameters of the command, without those about printing."""
    from cluster.client import ops  # noqa: PLC0415

    for flag in ("history", "tree"):
        if parameters[flag]:
            bad_arguments(f"`--{flag}` cannot be set in a transaction")
    key, range_end, options = _get_fields(**parameters)
    return ops.get(key, range_end, **options)


def delete_op(**parameters: Any) -> Op:
    """The delete for these parameters of the command."""
    from cluster.client import ops  # noqa: PLC0415

    key, range_end = _delete_interval(**parameters)
    return ops.delete(key, range_end, prev_kv=parameters["prev_kv"])


def increment_op(words: tuple[str, ...]) -> Op:
    """The increment for these parameters of the command."""
    from cluster.client import ops  # noqa: PLC0415

    return ops.increment(*_increment_arguments(words))


TXN_COMMANDS: Final[dict[str, tuple[Command, Callable[..., Op]]]] = {
    "put": (put, put_op),
    "get": (get, get_op),
    "del": (delete, delete_op),
    "incr": (increment, increment_op),
}
"""The commands that a transaction may hold: the command, and the function that makes the operation
of its parameters."""


# --- from parameters to requests ---


def _put_fields(
    words: tuple[str, ...],
    lease: str,
    ttl: float,
    prev_kv: bool,
    ignore_value: bool,
    ignore_lease: bool,
    has_stdin: bool = True,
) -> dict[str, Any]:
    if not words or (len(words) == 1 and not ignore_value and not has_stdin):
        bad_arguments("put command needs 1 argument and input from stdin or 2 arguments")
    if ignore_value and len(words) > 1:
        bad_arguments("put command needs only 1 argument when 'ignore-value' is set")
    try:
        lease_id = parse_int(lease, 16)
    except ValueError as error:
        bad_arguments(f"bad lease ID ({error}), expecting ID in Hex")
    if ttl and (lease_id or ignore_lease):
        bad_arguments("`--ttl` grants a lease of its own: choose it, `--lease` or `--ignore-lease`")
    return {
        "key": os.fsencode(words[0]),
        "value": b"" if ignore_value else _value(words),
        "lease": lease_id,
        "prev_kv": prev_kv,
        "ignore_value": ignore_value,
        "ignore_lease": ignore_lease,
        "ttl": ttl,
    }


def _get_fields(
    words: tuple[str, ...],
    prefix: bool,
    from_key: bool,
    limit: int,
    rev: int,
    order: str,
    sort_by: str,
    keys_only: bool,
    count_only: bool,
    consistency: str,
    min_mod_rev: int,
    max_mod_rev: int,
    min_create_rev: int,
    max_create_rev: int,
    **_printing: bool,
) -> tuple[bytes, bytes | None, RangeOptions]:
    key, range_end = _interval("get", words, prefix, from_key)
    if keys_only and count_only:
        bad_arguments("`--keys-only` and `--count-only` cannot be set at the same time, choose one")
    if consistency not in ("l", "s"):
        raise CommandError(f'unknown consistency flag "{consistency}"', EXIT_BAD_FEATURE)
    if order.upper() not in SORT_ORDERS:
        raise CommandError(f"bad sort order {order}", EXIT_BAD_FEATURE)
    if sort_by.upper() not in SORT_TARGETS:
        raise CommandError(f"bad sort target {sort_by}", EXIT_BAD_FEATURE)
    options: dict[str, Any] = {
        "limit": max(0, limit),
        "revision": max(0, rev),
        "serializable": consistency == "s",
        "keys_only": keys_only,
        "count_only": count_only,
        "min_mod_revision": min_mod_rev,
        "max_mod_revision": max_mod_rev,
        "min_create_revision": min_create_rev,
        "max_create_revision": max_create_rev,
    }
    if order or sort_by:
        options["sort_order"] = SORT_ORDERS[order.upper()]
        options["sort_target"] = SORT_TARGETS[sort_by.upper()]
    return key, range_end, RangeOptions(**options)  # type: ignore[typeddict-item]


def _delete_interval(
    words: tuple[str, ...], prefix: bool, from_key: bool, **_: bool
) -> tuple[bytes, bytes | None]:
    return _interval("del", () if len(words) > 2 else words, prefix, from_key)


def _increment_arguments(words: tuple[str, ...]) -> tuple[bytes, int]:
    if not 1 <= len(words) <= 2:
        bad_arguments("incr command needs a key and an optional delta")
    try:
        delta = parse_int(words[1]) if len(words) > 1 else 1
    except ValueError as error:
        bad_arguments(f"bad delta ({error})")
    return os.fsencode(words[0]), delta


def _history(
    settings: CliSettings,
    words: tuple[str, ...],
    limit: int,
    rev: int,
    print_value_only: bool,
    consistency: str,
    history: bool,
    **others: Any,
) -> None:
    if len(words) != 1 or any(others.values()) or consistency != "l":
        bad_arguments("`--history` is of one key, and goes with `--limit` and `--rev` only")
    printer = settings.printer("get --history")
    if print_value_only and settings.write_out != "simple":
        bad_arguments("print-value-only is only for `--write-out=simple`")
    with settings.connect_for_keys() as client:
        result = client.history(os.fsencode(words[0]), limit=max(0, limit), revision=max(0, rev))
    printer.history(result, print_value_only)


def _check_tree(
    settings: CliSettings, count_only: bool, print_value_only: bool, **_others: Any
) -> None:
    if settings.write_out != "simple":
        bad_arguments("tree is only for `--write-out=simple`")
    if count_only or print_value_only:
        bad_arguments("`--tree` shows the keys alone: without `--count-only` and values")


def _interval(
    command: str, words: tuple[str, ...], prefix: bool, from_key: bool
) -> tuple[bytes, bytes | None]:
    """Key and range_end, from the arguments and flags of get and del. As in etcdctl, get ignores
    a third argument and more."""
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
