"""Flow control of what a peer sends (RFC 9113, 5.2): what has come, and what room to give back.

Windows of what this side sends are plain numbers of the stream and of the sender.
"""

from __future__ import annotations

from typing import Final

WINDOW_MAX: Final = 0x7FFF_FFFF
"""No window may be larger (RFC 9113, 6.9.1)."""

INITIAL_WINDOW_BYTES: Final = 65_535
"""The window of a connection, and of a stream until settings say otherwise (RFC 9113, 6.9.2)."""


class ReceiveWindow:
    """One window: `used` has come and was not given back; `held` of it has not been consumed."""

    __slots__ = ("held", "size", "used")

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0
        self.held = 0

    def give_back(self) -> int:
        """The increment to send now: nothing until it is half of the window, to save frames."""
        free = self.used - self.held
        if free * 2 < self.size:
            return 0
        self.used = self.held
        return free
