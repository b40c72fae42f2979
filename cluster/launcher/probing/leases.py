"""The probe client's two leases: one that it keeps alive, and a short one that it lets expire.

Each is granted with a key of its own, whose deletion the watch tells. A lease is lost that ends
before its TTL is over, counted from the last request for it that was answered. One that ended
because no renewal came through in time has expired: the cluster has kept its word.
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

ASK_AGAIN_SECONDS: Final = 0.5
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
        return {"op": "put", "key": self._key, "value": self.name, "TTL": self._ttl_seconds}

    def answered(self, reply: dict[str, Any], sent_at: float, now: float) -> LeaseNews | None:
        """The answer, without an error, to a request that was sent at this time."""
        granted = not self._lease
        if granted:
            self._lease = reply["lease"]
        elif not self._is_renewed:
            return None
        elif not reply["TTL"]:
            return self._end(now)
        self._ends_after = sent_at + self._ttl_seconds - EARLY_SECONDS
        self.due = now + (RENEW_SECONDS if self._is_renewed else FORGOTTEN_SECONDS)
        return LeaseNews(now, self.name, GRANTED if granted else RENEWED)

    def deleted(self, key: bytes, reason: str, now: float) -> LeaseNews | None:
        """The watch tells that a key is gone; what that says about this lease, if anything."""
        if key != self._key or not self._lease:
            return None
        if reason != BY_EXPIRY:
            # A user's deletion: the lease lives on, but its end would not be seen.
            self._lease, self.due = 0, now
            return None
        return self._end(now)

    def _end(self, now: float) -> LeaseNews:
        self._lease = 0
        self.due = now
        return LeaseNews(now, self.name, LOST if now < self._ends_after else EXPIRED)


def holds() -> dict[str, Hold]:
    """The two leases, by name."""
    kept = Hold(KEPT, KEPT_TTL_SECONDS, renewed=True)
    short = Hold(SHORT, SHORT_TTL_SECONDS, renewed=False)
    return {kept.name: kept, short.name: short}
