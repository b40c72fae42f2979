"""Whatever decodes as a command can be applied and stored: on every member it stands in the log.

Numbers are at the edges of their ranges, and beyond. A failure prints its seed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgpack
import pytest

from actors.language.codec import _SHAPES, decode_command
from actors.store.disk.backend import LmdbBackend
from actors.store.machine import Machine
from tests.store.driver import FOUNDERS

COMMANDS = 3_000
NUMBERS = (
    *(0, 1, 2, 3, 5, 7, -1, 10**12, 2**31, 2**32, 2**53, 2**62),
    *(2**63 - 1, 2**63, 2**64 - 1, -(2**31), -(2**63)),
)
TEXTS = ("", "n", "x" * 300)
KEYS = (b"", b"\0", b"a", b"b", b"k" * 1_000, b"\xff" * 4)


class Commands:
    """Random rows that have the shape of a command, or nearly."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._operations = (self._put, self._range, self._delete, self._count, self._increment)

    def next(self) -> bytes:
        """A row: its code, mostly without a session, and its fields."""
        random = self._random
        code = random.choice(list(_SHAPES))
        head = (0, 0, 0) if random.random() < 0.5 else tuple(self.number() for _ in range(3))
        _, types, _ = _SHAPES[code]
        special: dict[int, Callable[[], tuple[Any, ...]]] = {
            6: lambda: (self._some(2, lambda: (self.number(), self.number())),),
            9: lambda: (self.number(), self.text(), self._some(2, self.text)),
            10: lambda: (self._some(2, lambda: (self.number(), (self.text(),), True)), self.key()),
            13: lambda: (self._some(1, self._compare), *(self._branch() for _ in range(2))),
            15: lambda: (self.number(), random.randrange(6)),
            16: lambda: (self.number(), random.randrange(6)),
        }
        if code in special:
            fields = special[code]()
        else:
            fields = tuple(self._value(each) for each in types[4:])
        packed: bytes = msgpack.packb((code, *head, *fields))
        return packed

    def number(self) -> int:
        random = self._random
        return random.choice(NUMBERS) if random.random() < 0.7 else random.randrange(10)

    def text(self) -> str:
        return self._random.choice(TEXTS)

    def key(self) -> bytes:
        return self._random.choice(KEYS)

    def flag(self) -> bool:
        return self._random.random() < 0.3

    def _value(self, kind: type) -> Any:
        values = {int: self.number, bool: self.flag, bytes: self.key, str: self.text}
        return values[kind]()

    def _some(self, most: int, make: Any) -> tuple[Any, ...]:
        return tuple(make() for _ in range(self._random.randrange(most + 1)))

    def _put(self) -> tuple[Any, ...]:
        flags = [self.flag() for _ in range(3)]
        return (1, self.key(), self.key(), self.number(), *flags, self.number())

    def _delete(self) -> tuple[Any, ...]:
        return (2, self.key(), self.key(), self.flag())

    def _range(self) -> tuple[Any, ...]:
        flags, kinds = [self.flag() for _ in range(2)], [self._random.randrange(5) for _ in "ab"]
        limits = [self.number() for _ in range(6)]
        return (3, self.key(), self.key(), *limits[:2], *flags, *kinds, *limits[2:])

    def _count(self) -> tuple[Any, ...]:
        return (4, self.key(), self.number())

    def _increment(self) -> tuple[Any, ...]:
        return (6, self.key(), self.number())

    def _branch(self) -> tuple[Any, ...]:
        return self._some(2, self._operation)

    def _operation(self) -> tuple[Any, ...]:
        return self._random.choice(self._operations)()

    def _compare(self) -> tuple[Any, ...]:
        operand = self._random.choice((self.number, self.key))()
        kinds = (self._random.randrange(7), self._random.randrange(5))
        return (*kinds, self.key(), self.key(), operand)


@pytest.mark.parametrize("seed", range(4))
def test_what_decodes_as_a_command_can_be_applied_stored_and_found_again(
    seed: int, tmp_path: Path
) -> None:
    random = Random(seed)
    commands, backend = Commands(random), LmdbBackend(tmp_path / "store")
    machine = Machine(backend, FOUNDERS)
    kinds = set()
    for _ in range(COMMANDS):
        try:
            command, sequence = decode_command(commands.next())
        except ValueError:
            continue
        kinds.add(type(command))
        index, time_ms = machine.applied_index + 1, machine.cluster_ms + random.randrange(50)
        machine.apply(index, 1, time_ms, command, sequence)
        if random.random() < 0.1:
            backend.commit(machine.take_changes())
    backend.commit(machine.take_changes())
    backend.close()
    assert len(kinds) == len({kind for kind, _, _ in _SHAPES.values()}), seed
    again = LmdbBackend(tmp_path / "store")
    assert Machine(again, FOUNDERS).applied_index == machine.applied_index
    again.close()
