"""Planted bugs of deletions that count at once and are worked off later."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from actors.store.deletion import EventsAside, Joined
from actors.store.leases import LeaseTable
from actors.store.unsettled import LateKeys, Live
from tests.simulation.mutants.planting import mutant


@mutant
def a_late_deletion_counts_when_it_is_worked_off() -> AbstractContextManager[Any]:
    """Until then a key is found as it was before."""
    init = LateKeys.__init__

    def careless(late: LateKeys, live: dict[bytes, Live], *others: Any) -> None:
        init(late, live, *others)
        vars(late)["get"] = live.get

    return patch.object(LateKeys, "__init__", careless)


@mutant
def keys_that_are_worked_off_stay_on_their_lease() -> AbstractContextManager[Any]:
    """The end of the lease deletes them, though they were put again on none."""
    return patch.object(LeaseTable, "drop", lambda *_: None)


@mutant
def watchers_hear_of_a_late_deletion_last() -> AbstractContextManager[Any]:
    """What was applied together with it, and after it, is told before."""

    def careless(aside: EventsAside) -> Joined:
        return Joined([aside.events, *aside.before])

    return patch.object(EventsAside, "told", property(careless))
