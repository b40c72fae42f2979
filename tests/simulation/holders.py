"""Somebody who holds a lease and has the client's core keep it, and is told when it is lost.

Until the moment that it was last told of it may rely on the lease. A lease that was granted or
renewed in peace is not lost in peace. Knows nothing of what the lease is for.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from cluster.client.engine.call import Call
from cluster.client.engine.notices import LeaseLost, LeaseRenewed
from tests.simulation.clients import Endpoint
from tests.simulation.saved import require

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster

TTLS_SECONDS = (0.3, 0.6, 1.2)
PATIENCE_MS = 50
LATE_MS_MAX = 1
"""The core's timers are rounded up to milliseconds."""

PEACE_MS = 2_000
"""Longer than any lease lasts without being renewed."""


class Holder(Endpoint):
    """Holds one lease after the other."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        super().__init__(cluster, number, exactly_once=False)
        self._number = 0
        self._lease_id = 0
        self._good_until = 0.0
        self._relied_on: dict[int, float] = {}
        self._ttl = 0.0
        self._peace_since = inf
        self._is_over = False
        self._grant()

    # --- a lease's life ---

    def _grant(self) -> None:
        if not self._is_over:
            ttl = self.chance.of(TTLS_SECONDS)
            call = Call({"op": "lease_grant", "TTL": ttl}, ttl)
            call.on_done = lambda done, now, asked=self.now: self._granted(done, asked + ttl)
            self.core.calls.begin(call, self.now)
            self.pump()

    def _granted(self, call: Call, good_until: float) -> None:
        if call.reply is None or self.now >= good_until or self._is_over:
            self.timeline.after(PATIENCE_MS, f"holder {self.number}", self._grant)
            return
        self._number += 1
        self._lease_id, self._ttl = call.reply["ID"], call.fields["TTL"]
        self._rely(good_until)
        self.core.keepers.keep(self._number, self._lease_id, good_until, self.now)
        self.cluster.counts["leases held"] += 1

    def _rely(self, until: float) -> None:
        self._good_until = self._relied_on[self._lease_id] = until
        number = self._number
        at_ms = int(until * 1_000) + LATE_MS_MAX + 1
        self.timeline.at(at_ms, f"held {self.number}", lambda: self._look(number))

    def _look(self, number: int) -> None:
        """Whoever relies on the lease must have been told by now that it is lost, or renewed."""
        if number == self._number and self._lease_id:
            require(
                self.now <= self._good_until + (LATE_MS_MAX + 1) / 1_000,
                f"the lease {self._lease_id:x} was good until {self._good_until}, and nobody said "
                f"since that it is lost, or renewed",
            )

    def noticed(self, notice: Any) -> None:
        if isinstance(notice, LeaseRenewed) and notice.number == self._number:
            self.cluster.counts["leases renewed"] += 1
            self._rely(notice.good_until)
        elif isinstance(notice, LeaseLost) and notice.number == self._number:
            # A renewal that was sent among faults may have gone to where nobody answers, and the
            # lease may end before another one is sent.
            renewed_at = self._good_until - self._ttl
            in_peace = renewed_at >= self._peace_since
            require(not in_peace, f"a kept lease was lost in peace: {notice.error}")
            self.cluster.counts["leases lost"] += 1
            self._lease_id = 0
            self.timeline.after(PATIENCE_MS, f"holder {self.number}", self._grant)

    # --- what becomes of it in the end ---

    def peace(self) -> None:
        """Nothing goes wrong from now on, and all goes on."""
        self._peace_since = self.now

    def let_go(self) -> None:
        """Hold nothing any more: the lease ends by itself."""
        self._is_over = True
        self.core.keepers.drop(self._number)
        self._lease_id = 0

    def judge(self, ends_ms: dict[int, int], early_ms: int) -> None:
        """No lease has ended while it was relied on; clocks may have been ahead by `early_ms`."""
        for lease_id, until in self._relied_on.items():
            end_ms = ends_ms.get(lease_id, inf)
            require(
                end_ms >= until * 1_000 - early_ms,
                f"lease {lease_id:x} ended at {end_ms} ms, and was relied on until {until} s",
            )
