"""Answers that are ready: what those may read and write about whom the rights were asked just now.

They are good until users or roles change: whoever changes them must have these forgotten. Refuses
to know what a right is made of.
"""

from __future__ import annotations

from typing import Final

from actors.language.auth import Principal
from actors.language.intervals import KeySet

READY_MAX: Final = 10_000
"""The principals whose answers are ready at a time; each login of a user may be another one."""


class Ready:
    """The keys that each principal may read and write, of those who were asked about."""

    def __init__(self) -> None:
        self.readable: dict[Principal, KeySet] = {}
        self.writable: dict[Principal, KeySet] = {}

    def keep(self, principal: Principal, reads: KeySet, writes: KeySet) -> None:
        """Have the answer for a principal ready from now on."""
        if len(self.readable) >= READY_MAX:
            self.forget()
        self.readable[principal], self.writable[principal] = reads, writes

    def forget(self) -> None:
        """Users or roles change, so that all these answers may be wrong."""
        self.readable.clear()
        self.writable.clear()
