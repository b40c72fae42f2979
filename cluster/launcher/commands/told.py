"""Waits for what the journal tells, so that whoever asked hears what came of a command."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from cluster.launcher.commands.desk import Desk
from cluster.launcher.errands.errand import Errand, Until
from cluster.launcher.story.happenings import LAUNCHER, Happening

TOLD_SECONDS: Final = 5.0
"""A change of leaders that is not told within this time may come later, or never."""


def then_new_leader(
    desk: Desk, errand: Errand[Any], is_awaited: Callable[[], bool]
) -> Errand[None]:
    """Do the errand. If one is awaited then, wait until the journal tells who leads now."""
    told: list[Happening] = []

    def read(happening: Happening) -> None:
        if happening.kind == "leader" and happening.source == LAUNCHER:
            told.append(happening)

    forget = desk.journal.read_by(read)
    try:
        yield from errand
        until = time.monotonic() + TOLD_SECONDS

        def is_over() -> bool:
            known = told and told[-1].fields["leader"] is not None
            return bool(known) or not is_awaited() or time.monotonic() >= until

        yield Until(is_over, TOLD_SECONDS + 1, "")
    finally:
        forget()
