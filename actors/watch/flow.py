"""Flow: how much is told before the gateway has said that it has room for more.

What many watches are told at once is a copy for each of them, and whether their clients read it
shows only later. So after some bytes the gateway is asked, and history waits for its answer. Knows
bytes, and nothing of what they say or of who has room.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from actors.language.messages import Connection

TOLD_BYTES_MAX: Final = 1024 * 1024
"""After 1 MiB of frames the gateway is asked for room. Until it answers no history is told, and of
a batch of live events another 1 MiB: the watches that lack the rest read it as history."""

LIVE_BYTES_MAX: Final = 16 * 1024 * 1024
"""While there is room, a batch of live events makes 16 MiB of frames at most."""


class Flow:
    """What one node's watches are told; `is_open` while the gateway is known to have room.

    `told_bytes_max` and `live_bytes_max` are the limits above; a frame may cross them.
    """

    def __init__(
        self, told_bytes_max: int = TOLD_BYTES_MAX, live_bytes_max: int = LIVE_BYTES_MAX
    ) -> None:
        self.is_open = True
        self.told_bytes_max = told_bytes_max
        self._live_bytes_max = live_bytes_max
        self._left = told_bytes_max

    @property
    def live_bytes_max(self) -> int:
        """The limit on the frames of the next batch of live events."""
        return self._live_bytes_max if self.is_open else self.told_bytes_max

    def must_ask(self, frames: Iterable[tuple[Connection, bytes]]) -> bool:
        """Count frames that are told now; whether the gateway is to be asked for room with them."""
        self._left -= sum([len(frame) for _, frame in frames])
        if self._left > 0 or not self.is_open:
            return False
        self.is_open = False
        return True

    def refill(self) -> None:
        """The gateway has room."""
        self.is_open = True
        self._left = self.told_bytes_max
