"""Gate: how many connections to the node are being opened at the same time.

The system drops what arrives for a connection that the node's queue has no room for. The connection
looks open on this side, and what was sent on it is sent again only after seconds, when the node has
given it up. So when thousands of clients come at once, most of their connections open after others.
Refuses to know how a connection opens.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

OPENING_MAX: Final = 256
"""The node's queue (LISTEN_BACKLOG) has four times this room: others connect there as well."""

LOOK_SECONDS: Final = 1.0
LOOKS: Final = 5
"""A node that says nothing to a connection that opens, at five looks a second apart, counts as
away. One long wait would say less: this side may have been too busy to hear."""

SILENT: Final = "it does not say who it is"


class Opening(Protocol):
    """A connection that is to be opened; it leaves the gate when it is open, or has ended."""

    def begin(self) -> None:
        """Its turn has come."""

    def refuse(self, reason: str) -> None:
        """The node is silent, to this one or to one that was before it."""


class Gate:
    """The connections of one front that are being opened, and those that wait for their turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop, opening_max: int = OPENING_MAX) -> None:
        self._loop = loop
        self._opening_max = opening_max
        # The looks at each since the node has last said something to it.
        self._opening: dict[Opening, int] = {}
        self._looking = False
        self._waiting: dict[Opening, None] = {}

    def enter(self, opening: Opening) -> None:
        """Begin to open it, now or when its turn has come."""
        if len(self._opening) < self._opening_max:
            self._begin(opening)
        else:
            self._waiting[opening] = None

    def heard(self, opening: Opening) -> None:
        """The node has said something to it."""
        if opening in self._opening:
            self._opening[opening] = 0

    def leave(self, opening: Opening) -> None:
        """It is open, or is given up; the next one begins."""
        if self._opening.pop(opening, None) is None:
            self._waiting.pop(opening, None)
            return
        if self._waiting:
            following = next(iter(self._waiting))
            del self._waiting[following]
            self._begin(following)

    def _begin(self, opening: Opening) -> None:
        self._opening[opening] = 0
        self._look_soon()
        opening.begin()

    def _look_soon(self) -> None:
        if not self._looking:
            self._looking = True
            self._loop.call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """See whether the node is away: then those that wait would only find that out later."""
        self._looking = False
        opening = self._opening
        for each in opening:
            opening[each] += 1
        silent = [each for each, looks in opening.items() if looks >= LOOKS]
        if silent:
            waiting, self._waiting = self._waiting, {}
            for each in (*silent, *waiting):
                each.refuse(SILENT)
                self.leave(each)
        if opening:
            self._look_soon()
