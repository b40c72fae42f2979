"""Whether nodes refuse the probe client as somebody that they do not know. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, Final

from cluster.launcher.probing.records import ShutOut
from cluster.launcher.secure.refusals import SHUT_OUT

REFUSED_SECONDS: Final = 1.0
"""When all its writes were refused for this long, that is told: a node that has just started does
not know all users yet, and refuses some for a moment."""


class Refused:
    """The replies to writes; one that was not refused begins it anew."""

    def __init__(self) -> None:
        self._since = inf
        self._is_told = False

    def heard(self, reply: Mapping[str, Any], now: float) -> ShutOut | None:
        """A reply has come; what to tell of it, which is told once."""
        why = reply.get("error", {}).get("message", "")
        if why not in SHUT_OUT:
            self._since, self._is_told = inf, False
            return None
        self._since = min(self._since, now)
        if self._is_told or now - self._since < REFUSED_SECONDS:
            return None
        self._is_told = True
        return ShutOut(now, why)
