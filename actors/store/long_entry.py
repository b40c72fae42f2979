"""The entry that is applied in portions, between turns, and what must follow it.

Such an entry deletes, or reads, very many keys. Nobody sees a part of it: until its end reads get
the state before it, and whatever must see it, or come after it, waits here in its order. What an
entry does is the machine's. What others have left to do later is done in portions, too: nobody
waits for that. Times are milliseconds of the caller's clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.language.entries import Entry
from actors.language.inboxes import ToStore
from actors.language.messages import LocalRead, Tick
from actors.language.metrics import Survey
from actors.language.results import Result
from actors.store.index import KeyIndex
from actors.store.machine import Machine
from actors.store.questions import can_answer
from actors.store.steps import ITEMS_PER_STEP

ENTRY_SLICE_MS: Final = 3
ENTRY_STEPS_MAX: Final = 256
"""After 3 ms, or 256 steps, a turn ends: everything else on the node has its turn."""


class LongEntry:
    """The entry under way in one store, if there is one."""

    def __init__(self, slice_steps_max: int = ENTRY_STEPS_MAX) -> None:
        self._slice_steps_max = slice_steps_max
        self._entries: tuple[Entry, ...] = ()
        self._waiting: list[ToStore] = []

    def begin(self, entries: tuple[Entry, ...]) -> None:
        """The first of these entries is under way, and the others follow it."""
        self._entries = entries

    def let_pass(self, message: ToStore, machine: Machine) -> ToStore | None:
        """The message, as far as it need not wait for the entry under way; else None."""
        match message:
            case Tick() | Survey():
                return message
            case LocalRead(questions):
                whole = tuple([each for each in questions if can_answer(machine, each.query)])
                if len(whole) < len(questions):
                    others = tuple([each for each in questions if each not in whole])
                    self._waiting.append(LocalRead(others))
                return LocalRead(whole) if whole else None
            case _:
                self._waiting.append(message)
                return None

    def work(self, machine: Machine, clock: Callable[[], int]) -> Result | None:
        """Do a slice of the entry; returns its answer when it is done."""
        until_ms = clock() + ENTRY_SLICE_MS
        for _ in range(self._slice_steps_max):
            result = machine.go_on()
            if result is not None or clock() >= until_ms:
                return result
        return None

    def settle(self, index: KeyIndex, clock: Callable[[], int]) -> None:
        """Do a slice of what deletions have left to do, if they have."""
        until_ms = clock() + ENTRY_SLICE_MS
        for _ in range(self._slice_steps_max):
            if not index.is_late:
                return
            index.settle(ITEMS_PER_STEP)
            if clock() >= until_ms:
                return

    def end(self) -> tuple[Entry, tuple[Entry, ...], list[ToStore]]:
        """The entry that is done, the entries that follow it, and the messages that waited."""
        (entry, *rest), self._entries = self._entries, ()
        waiting, self._waiting = self._waiting, []
        return entry, tuple(rest), waiting
