"""The grammar of a typed transaction, which is etcdctl's: lines of compares and operations.

    target("key") op "value"       the key may be followed by , "range_end" or , prefix
    put | get | del | incr ...     with the flags of those commands

It makes `cluster.ops` of texts, and refuses to know where the lines come from.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any, Final

import click

from cluster import ops
from cluster.cli.ending import EXIT_INVALID_INPUT, CommandError
from cluster.cli.keys import TXN_COMMANDS
from cluster.cli.quoting import quoted, read_quoted, split_words
from cluster.client.requests import prefix_end
from cluster.values import parse_int

NUMBERS: Final[dict[str, tuple[Callable[..., ops.Number], int]]] = {
    "ver": (ops.version, 10),
    "version": (ops.version, 10),
    "c": (ops.create_revision, 10),
    "create": (ops.create_revision, 10),
    "m": (ops.mod_revision, 10),
    "mod": (ops.mod_revision, 10),
    "lease": (ops.lease, 16),
    "count": (ops.count, 10),
}
"""Targets that are numbers, with the base in which their operands are written."""

VALUES: Final = ("val", "value")
OPERATORS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}

_SPACES: Final = re.compile(r"\s*")
_OPERATOR: Final = re.compile(r"\s+(\S+)")


def invalid_input(message: str) -> CommandError:
    """The error for a line that cannot be parsed."""
    return CommandError(message, EXIT_INVALID_INPUT)


def parse_compare(line: str) -> ops.Compare:
    """Parse a compare, as `ver("k") = "1"`; CommandError, with etcdctl's text, if it is wrong."""
    target, parenthesis, rest = line.partition("(")
    if not parenthesis:
        raise invalid_input(f"malformed comparison: {line}")
    key, end, sign, operand = _scan(line, target, rest)
    if target in VALUES:
        return _compared(line, ops.value(key, end), sign, operand)
    if target not in NUMBERS:
        raise invalid_input(f"malformed comparison: {line} (unknown target {target})")
    subject, base = NUMBERS[target]
    try:
        number = parse_int(operand.decode("utf-8", "replace"), base)
    except ValueError:
        raise invalid_input(f"invalid txn compare request: {line}") from None
    return _compared(line, subject(key, end), sign, number)


def parse_operation(line: str) -> ops.Op:
    """Parse an operation, as `put "k" v --prev-kv`; CommandError if it is wrong."""
    try:
        words = split_words(line)
    except ValueError as error:
        raise invalid_input(str(error)) from None
    if len(words) < 2:
        raise invalid_input(f"invalid txn compare request: {line}")
    names = [name for name in TXN_COMMANDS if name.startswith(words[0])]
    if len(names) != 1:
        raise invalid_input(f"invalid txn request: {line}")
    command, make = TXN_COMMANDS[names[0]]
    try:
        with command.alone().make_context(names[0], words[1:]) as context:
            parameters = context.params
    except (CommandError, click.ClickException, click.exceptions.Exit):
        raise invalid_input(f"invalid txn request: {line}") from None
    return make(**parameters)


def _scan(line: str, target: str, text: str) -> tuple[bytes, bytes | None, str, bytes]:
    """The key, range_end, operator and operand in the text after the opening parenthesis."""
    key, sign, end = b"", "", None
    try:
        first = read_quoted(text, _skip(text, 0))
        if first is not None:
            key = first.value
            end, closed = _interval(key, text, first.end)
            found = _OPERATOR.match(text, closed) if closed else None
            if found is not None:
                sign = found[1]
                start = _skip(text, found.end())
                last = read_quoted(text, start) if start > found.end() else None
                if last is not None:
                    return key, end, sign, last.value
    except ValueError:
        pass
    said = f"{target}({quoted(key)}) {sign} {quoted(b'')}"
    raise invalid_input(f"malformed comparison: {line}; got {said}")


def _interval(key: bytes, text: str, position: int) -> tuple[bytes | None, int]:
    """The range_end, if one follows the key, and where the closing parenthesis ends (0: nowhere).

    This is an extension: etcdctl compares single keys only.
    """
    end = None
    if text.startswith(",", position):
        position = _skip(text, position + 1)
        if text.startswith("prefix", position):
            end, position = prefix_end(key), position + len("prefix")
        elif (given := read_quoted(text, position)) is not None:
            end, position = given.value, given.end
    return end, position + 1 if text.startswith(")", position) else 0


def _compared(
    line: str, subject: ops.Number | ops.Text, sign: str, operand: int | bytes
) -> ops.Compare:
    if sign not in OPERATORS:
        raise invalid_input(f"malformed comparison: {line} (unknown operator {sign})")
    compare: ops.Compare = OPERATORS[sign](subject, operand)
    return compare


def _skip(text: str, position: int) -> int:
    """The position where the white space at this position ends."""
    match = _SPACES.match(text, position)
    return match.end() if match else position
