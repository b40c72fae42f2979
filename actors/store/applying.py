"""Committed entries, decoded and applied in order, and the answers for clients of this member.

An entry names the member that took the request, and only that member answers it. What a command
does is the machine's.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.language.codec import decode_command
from actors.language.commands import Compact
from actors.language.entries import Entry, command_sizes
from actors.language.results import Result
from actors.store.compactor import Compactor
from actors.store.machine import Machine


class Unreadable(NamedTuple):
    """An entry that no member can decode: all members skip it."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    term: int
    reason: str


class Applied(NamedTuple):
    """Answers by ticket, entries that cannot be decoded, and the bytes of applied commands.

    `left`: an entry that takes long and is under way now, and all that follow it.
    """

    replies: list[tuple[int, Result]]
    unreadable: list[Unreadable]
    bytes: int
    left: tuple[Entry, ...]


def apply_entries(
    machine: Machine, entries: tuple[Entry, ...], member_id: int, compactor: Compactor
) -> Applied:
    """Apply entries; the answer to a physical compaction is not here: the compactor owes it."""
    apply, owe = machine.begin_entry, compactor.owe
    replies: list[tuple[int, Result]] = []
    unreadable: list[Unreadable] = []
    unread_bytes = 0
    for index, term, time_ms, origin, ticket, data in entries:
        if not data:
            machine.skip(index, term, time_ms)
            continue
        try:
            command, sequence, principal = decode_command(data)
        except ValueError as error:
            # Every member skips it alike. If one stopped, all would stop, and at every restart.
            machine.skip(index, term, time_ms)
            unreadable.append(Unreadable(index, term, str(error)))
            unread_bytes += len(data)
            continue
        result = apply(index, term, time_ms, command, sequence, principal)
        if result is None:
            done = index - entries[0].index
            size = sum(command_sizes(entries[: done + 1])) - unread_bytes
            return Applied(replies, unreadable, size, entries[done:])
        if not ticket or origin != member_id:
            continue
        if type(command) is not Compact or not owe(machine.sweeper, command, ticket, result):
            replies.append((ticket, result))
    return Applied(replies, unreadable, sum(command_sizes(entries)) - unread_bytes, ())
