"""The probe client's two leases: one that it keeps alive, and a short one that it lets expire.

Each is granted with a key of its own, whose deletion the watch tells. A lease that ends before its
time is lost: the kept one whenever it ends, the short one when it ends before its TTL is over.
Pure: it says what to ask, and times are arguments.
"""

from __future__ import annotations

from math import inf
from typing import Any, Final

from cluster.launcher.probing.records import EXPIRED, GRANTED, LOST, PREFIX, RENEWED, LeaseNews

KEPT: Final = "kept"
SHORT: Final = "short"

KEPT_TTL_SECONDS: Final = 5
RENEW_SECONDS: Final = 1.0
SHORT_TTL_SECONDS: Final = 3
BY_EXPIRY: Final = "lease expired"
"""A deletion's reason."""

EARLY_SECONDS: Final = 0.002
"""Clocks of the cluster count whole milliseconds."""

ASK_AGAIN_SECONDS: Final = 1.0
FORGOTTEN_SECONDS: Final = 30.0
"""A short lease of whose end nothing was heard for this long is given up: its watch began later."""


class Hold:
    """One lease: granted, perhaps renewed, and ended."""

    def __init__(self, name: str, ttl_seconds: int, *, renewed: bool) -> None:
        self.name = name
        self.due = 0.0
        self._ttl_seconds = ttl_seconds
        self._is_renewed = renewed
        self._lease = 0
        self._count = 0
        self._asked_at = 0.0
        self._ends_after = inf

    @property
    def lease(self) -> int:
        """Its id; 0 while there is none."""
        return self._lease

    @property
    def number(self) -> int:
        """Which grant this is: the answer to an earlier one says nothing."""
        return self._count

    @property
    def _key(self) -> bytes:
        # A key for each grant: the end of an earlier one says nothing of this one.
        return PREFIX + f"{self.name}/{self._count}".encode()

    def request(self, now: float) -> dict[str, Any]:
        """What to ask now that it is due; it will be due again if no answer comes."""
        self.due = now + ASK_AGAIN_SECONDS
        if self._lease and self._is_renewed:
            return {"op": "lease_keep_alive", "ID": self._lease}
        self._lease = 0
        self._count += 1
        self._asked_at = now
        return {"op": "put", "key": self._key, "value": self.name, "TTL": self._ttl_seconds}

    def answered(self, reply: dict[str, Any], now: float) -> LeaseNews | None:
        """The answer to the last request, without an error."""
        if not self._is_renewed or not self._lease:
            self._lease = reply["lease"]
            self._ends_after = self._asked_at + reply["TTL"] - EARLY_SECONDS
            self.due = now + (RENEW_SECONDS if self._is_renewed else FORGOTTEN_SECONDS)
            return LeaseNews(now, self.name, GRANTED)
        if not reply["TTL"]:
            return self._end(now, LOST)
        self.due = now + RENEW_SECONDS
        return LeaseNews(now, self.name, RENEWED)

    def deleted(self, key: bytes, reason: str, now: float) -> LeaseNews | None:
        """The watch tells that a key is gone; what that says about this lease, if anything."""
        if key != self._key or not self._lease:
            return None
        if reason != BY_EXPIRY:
            # A user's deletion: the lease lives on, but its end would not be seen.
            self._lease, self.due = 0, now
            return None
        early = self._is_renewed or now < self._ends_after
        return self._end(now, LOST if early else EXPIRED)

    def _end(self, now: float, what: str) -> LeaseNews:
        self._lease = 0
        self.due = now
        return LeaseNews(now, self.name, what)


def holds() -> dict[str, Hold]:
    """The two leases, by name."""
    kept = Hold(KEPT, KEPT_TTL_SECONDS, renewed=True)
    short = Hold(SHORT, SHORT_TTL_SECONDS, renewed=False)
    return {kept.name: kept, short.name: short}
