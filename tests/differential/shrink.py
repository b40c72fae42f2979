"""Makes a program that shows a difference smaller, while it still shows one.

First operations go, in ever smaller groups; then, of those left, fields and parts of transactions.
What "still shows one" means is the caller's. Runs nothing by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from tests.differential.language import Op, Program

TRIES_MAX: Final = 600
"""Each try is a run of the program on both servers."""

Fails = Callable[[Program], bool]


def shrunk(program: Program, fails: Fails, tries_max: int = TRIES_MAX) -> list[Op]:
    """A program of which nothing can be left out without hiding the difference, or nearly so."""
    budget = _Budget(fails, tries_max)
    smallest = list(program)
    before: list[Op] = []
    while smallest != before:
        before = smallest
        smallest = _fewer(smallest, budget)
        smallest = _simpler(smallest, budget)
    return smallest


class _Budget:
    """Counts the tries; when they are used up nothing fails any more."""

    def __init__(self, fails: Fails, tries_max: int) -> None:
        self._fails = fails
        self._left = tries_max

    def fails(self, program: list[Op]) -> bool:
        self._left -= 1
        return self._left >= 0 and self._fails(program)


def _fewer(program: list[Op], budget: _Budget) -> list[Op]:
    """Take away groups of operations: halves, quarters, and at last single ones, from the end."""
    size = max(1, len(program) // 2)
    while True:
        end = len(program)
        while end > 0:
            start = max(0, end - size)
            without = program[:start] + program[end:]
            if without and budget.fails(without):
                program = without
            end = start
        if size == 1:
            return program
        size //= 2


def _simpler(program: list[Op], budget: _Budget) -> list[Op]:
    """Replace operations by simpler ones."""
    for index in range(len(program)):
        changed = True
        while changed:
            changed = False
            for simpler in _simplifications(program[index].fields):
                trial = [*program]
                trial[index] = program[index]._replace(fields=simpler)
                if budget.fails(trial):
                    program, changed = trial, True
                    break
    return program


def _simplifications(value: Any) -> Iterator[Any]:
    """The value with one part fewer, at any depth; the larger parts first."""
    if isinstance(value, dict):
        for name in value:
            yield {field: item for field, item in value.items() if field != name}
        for name, item in value.items():
            for simpler in _simplifications(item):
                yield {**value, name: simpler}
    elif isinstance(value, list):
        for index in range(len(value)):
            yield value[:index] + value[index + 1 :]
        for index, item in enumerate(value):
            for simpler in _simplifications(item):
                yield [*value[:index], simpler, *value[index + 1 :]]
