"""Whatever decodes as a command can be applied and stored: on every member it stands in the log.

Numbers are at the edges of their ranges, and beyond. A failure prints its seed.
"""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from random import Random
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgpack
import pytest

from actors.language.codec import COMMANDS, OPERATIONS, decode_command
from actors.store.disk.backend import LmdbBackend
from actors.store.machine import Machine
from tests.store.driver import FOUNDERS, commit

APPLIED = 3_000
NUMBERS = (
    *(0, 1, 2, 3, 5, 7, -1, 10**12, 2**31, 2**32, 2**53, 2**62),
    *(2**63 - 1, 2**63, 2**64 - 1, -(2**31), -(2**63)),
)
TEXTS = ("", "n", "root", "x" * 300)
KEYS = (b"", b"\0", b"a", b"b", b"k" * 1_000, b"\xff" * 4)
ITEMS_MAX = 2
LEVELS_MAX = 3


class Commands:
    """Random rows that have the shape of a command, or nearly."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def next(self) -> bytes:
        """A row: its code, its principal, mostly no session, and its fields."""
        random = self._random
        kind = random.choice(list(COMMANDS))
        head = (0, 0, 0) if random.random() < 0.5 else tuple(self._number() for _ in range(3))
        principal = random.choice((0, -1, -2, self._number(), (self._number(), self._number())))
        packed: bytes = msgpack.packb((COMMANDS[kind], principal, *head, *self._fields(kind, 1)))
        return packed

    def _fields(self, kind: type[Any], level: int) -> tuple[Any, ...]:
        hints = get_type_hints(kind, include_extras=True).values()
        return tuple([self._value(hint, level) for hint in hints])

    def _value(self, hint: Any, level: int) -> Any:
        plain = {int: self._number, bool: self._flag, bytes: self._key, str: self._text}
        if hint in plain:
            return plain[hint]()
        if isinstance(hint, type) and issubclass(hint, IntEnum):
            return self._random.randrange(len(hint) + 1)
        if isinstance(hint, type):
            return self._fields(hint, level)
        if get_origin(hint) is Annotated:
            return self._value(get_args(hint)[0], level)
        if get_origin(hint) is tuple:
            count = self._random.randrange(ITEMS_MAX + 1) if level <= LEVELS_MAX else 0
            return tuple([self._value(get_args(hint)[0], level) for _ in range(count)])
        chosen = self._random.choice(get_args(hint))
        if chosen in OPERATIONS:
            return OPERATIONS[chosen], *self._fields(chosen, level + 1)
        return self._value(chosen, level)

    def _number(self) -> int:
        random = self._random
        return random.choice(NUMBERS) if random.random() < 0.7 else random.randrange(10)

    def _text(self) -> str:
        return self._random.choice(TEXTS)

    def _key(self) -> bytes:
        return self._random.choice(KEYS)

    def _flag(self) -> bool:
        return self._random.random() < 0.3


@pytest.mark.parametrize("seed", range(4))
def test_what_decodes_as_a_command_can_be_applied_stored_and_found_again(
    seed: int, tmp_path: Path
) -> None:
    random = Random(seed)
    commands, backend = Commands(random), LmdbBackend(tmp_path / "store")
    machine = Machine(backend, FOUNDERS)
    kinds = set()
    for _ in range(APPLIED):
        try:
            command, sequence, principal = decode_command(commands.next())
        except ValueError:
            continue
        kinds.add(type(command))
        index, time_ms = machine.applied_index + 1, machine.cluster_ms + random.randrange(50)
        machine.apply(index, 1, time_ms, command, sequence, principal)
        if random.random() < 0.1:
            commit(machine, backend)
    commit(machine, backend)
    backend.close()
    assert len(kinds) == len(COMMANDS), seed
    again = LmdbBackend(tmp_path / "store")
    assert Machine(again, FOUNDERS).applied_index == machine.applied_index
    again.close()
