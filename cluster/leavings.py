"""Leavings: what connections had sent when they ended, and when nobody new is let in because of it.

libzmq hands over what a connection had sent when it ended, and reads small messages ten times as
fast as they can be taken. So whoever connects, sends and leaves, again and again, would fill the
memory. Refuses to know the connections that are here.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

from cluster.logs import complain
from cluster.visitor import ask, refuse_new

LEFT_MESSAGES_MAX: Final = 50_000
LEFT_BYTES_MAX: Final = 32 * 1024 * 1024
"""Once so many messages were dropped before the socket was found empty, or so much waits that was
left behind, nobody new is let in until it is empty."""

HERE_SHARE_MIN: Final = 0.25
"""A quarter of what may wait is for those that are here, whatever others have left behind."""

log = logging.getLogger("leasehold.links")


class Leavings:
    """What those who left one listening socket have left there, since it was last found empty.

    `listening` has the descriptors that it listens by, also former ones. `bytes` is how much was
    left, as far as it is known, also of what was dropped since. `is_any`: something was left; each
    put passes here, so who finds the socket empty asks that first. `is_shut`: nobody new is let in.
    """

    def __init__(self) -> None:
        self.listening: set[int] = set()
        self.bytes = 0
        self.is_any = self.is_shut = False
        self._dropped = 0

    def add(self, size: int) -> None:
        """A connection has ended, and left this behind, as of the last look: since then more may
        have been taken than that.
        """
        self.is_any = True
        self.bytes += max(0, size)
        if self.bytes > LEFT_BYTES_MAX and not self.is_shut:
            self._shut(shut=True)

    def drop(self) -> None:
        """A message of a connection that has ended was dropped, or will be."""
        self.is_any = True
        self._dropped += 1
        if self._dropped >= LEFT_MESSAGES_MAX and not self.is_shut:
            self._shut(shut=True)

    def leave_of(self, bytes_max: int) -> int:
        """How much of `bytes_max` those that are here may have waiting."""
        return max(bytes_max - self.bytes, int(bytes_max * HERE_SHARE_MIN))

    def found_none(self) -> None:
        """The socket was found empty."""
        self.bytes = self._dropped = 0
        self.is_any = False
        if self.is_shut:
            self._shut(shut=False)

    def _shut(self, *, shut: bool) -> None:
        self.is_shut = shut
        if shut:
            complain(log, "shut", "lets nobody new in: too much waits of connections that ended")
        for descriptor in self.listening:
            ask(descriptor, partial(refuse_new, refused=shut), None)
