"""Counts what a peer does that costs work and brings none forward, against limits in a time.

Frames like PING are cheap to send and cost an answer. A request that is reset at once costs all
the work of a request (CVE-2023-44487), and no less if the peer makes this side reset it
(CVE-2025-8671). Answers take counts back: a busy peer probes and cancels more than an idle one.
"""

from __future__ import annotations

from cluster.etcd.http2.codes import ENHANCE_YOUR_CALM, Http2Error
from cluster.etcd.http2.limits import FLOOD_WINDOW_MS, NUISANCES_PARDONED, Limits


class Floods:
    """The counts of one connection; over a limit the connection ends."""

    def __init__(self, limits: Limits) -> None:
        self._nuisances_max = limits.nuisances
        self._resets_max = limits.resets
        self._until_ms: int | None = None
        self.nuisances = 0
        self.resets = 0

    def at(self, now_ms: int) -> None:
        """Begin to count anew when the window is over."""
        if self._until_ms is None or now_ms >= self._until_ms:
            self._until_ms = now_ms + FLOOD_WINDOW_MS
            self.nuisances = self.resets = 0

    def nuisance(self, weight: int = 1) -> None:
        """A frame that asks for nothing. Raises Http2Error at the limit."""
        self.nuisances += weight
        if self.nuisances > self._nuisances_max:
            raise Http2Error(ENHANCE_YOUR_CALM, "too many frames that ask for nothing")

    def reset(self) -> None:
        """A request that was given up. Raises Http2Error at the limit."""
        self.resets += 1
        if self.resets > self._resets_max:
            raise Http2Error(ENHANCE_YOUR_CALM, "too many streams that are reset")

    def sent(self) -> None:
        """A frame of data was of use to the peer."""
        if self.nuisances > 0:
            self.nuisances -= NUISANCES_PARDONED

    def answered(self) -> None:
        """A request was answered."""
        if self.nuisances > 0:
            self.nuisances -= NUISANCES_PARDONED
        if self.resets > 0:
            self.resets -= 1
