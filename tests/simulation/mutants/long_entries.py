"""Planted bugs of entries that are applied in portions, between turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from actors.language.inboxes import ToStore
from actors.language.messages import ConfirmedRead, Tick
from actors.runtime.mailbox import Mailbox
from actors.store import questions
from actors.store.actor import StoreActor
from actors.store.long_entry import LongEntry
from actors.store.machine import Machine
from tests.simulation.mutants.planting import mutant


def _as_if_whole(machine: Machine, do: Callable[[], Any]) -> Any:
    """Do something that does not know of the entry under way."""
    is_busy, machine.is_busy = machine.is_busy, False
    try:
        return do()
    finally:
        machine.is_busy = is_busy


@mutant
def serializable_reads_see_half_of_a_long_entry() -> AbstractContextManager[Any]:
    """A read is answered from what the entry has done by then."""
    begin = questions.begin

    def careless(machine: Machine, query: Any, *asked: Any) -> Any:
        return _as_if_whole(machine, lambda: begin(machine, query, *asked))

    return patch("actors.store.long_queries.begin", careless)


@mutant
def commits_hold_half_of_a_long_entry() -> AbstractContextManager[Any]:
    """A commit is made at a tick, whatever is under way; its index is that before the entry."""
    receive = StoreActor.receive

    def careless(store: StoreActor, message: ToStore) -> None:
        if isinstance(message, Tick) and store.machine.is_busy:
            _as_if_whole(store.machine, store.commit)
        receive(store, message)

    return patch.object(StoreActor, "receive", careless)


@mutant
def linearizable_reads_overtake_a_long_entry() -> AbstractContextManager[Any]:
    """A confirmed read is answered from the state before an entry that it must see."""
    let_pass = LongEntry.let_pass

    def careless(entry: LongEntry, message: ToStore, machine: Machine) -> ToStore | None:
        if isinstance(message, ConfirmedRead):
            return message
        return let_pass(entry, message, machine)

    return patch.object(LongEntry, "let_pass", careless)


@mutant
def what_waited_for_a_long_entry_comes_last() -> AbstractContextManager[Any]:
    """Messages that came later, and applies too, overtake those that had to wait."""

    def careless(mailbox: Mailbox, messages: Sequence[Any]) -> None:
        mailbox.queue.extend(messages)

    return patch.object(Mailbox, "put_back", careless)
