"""Leases that a client renews in the background: when to renew, and when a lease is lost.

Pure; it sends by the client's calls. A lease is lost when the cluster says so, and also when no
renewal was acknowledged within its TTL: the cluster may have ended it by then, so the holder may
no longer rely on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cluster.client.engine.call import FOREVER, Call
from cluster.client.engine.calling import Calls
from cluster.client.engine.notices import LeaseLost, LeaseRenewed, Notice
from cluster.client.replies import of, read
from cluster.client.results import LeaseKeepAliveResult
from cluster.errors import LeaseholdError, LeaseNotFoundError
from cluster.faults import FAULTS

RENEWALS_PER_TTL: Final = 3
"""A renewal is due after a third of the TTL, which leaves two thirds to repeat it in."""

FAREWELL_SECONDS: Final = 1.0
"""How long a client that is closed waits for the end of the leases that it renewed."""


class Keeper:
    """One lease: when its next renewal is due, and until when the last one keeps it alive."""

    __slots__ = ("call", "due", "good_until", "lease_id", "number")

    def __init__(self, number: int, lease_id: int, good_until: float) -> None:
        self.number = number
        self.lease_id = lease_id
        self.due = FOREVER
        self.good_until = good_until
        # The renewal under way.
        self.call: Call | None = None

    def renewed(self, ttl: float, sent_at: float) -> None:
        """The cluster has renewed the lease for `ttl` seconds, at some time after `sent_at`."""
        self.call = None
        # Counted from the sending, since the cluster cannot have renewed the lease earlier: so it
        # never counts as good here after the cluster has ended it.
        self.good_until = sent_at + ttl
        self.due = sent_at + ttl / RENEWALS_PER_TTL


class Keepers:
    """All leases that one client renews, each under the number its owner gave it."""

    def __init__(
        self, calls: Calls, notices: list[Notice], tell_lost: Callable[[LeaseLost], None]
    ) -> None:
        self._calls = calls
        self._notices = notices
        self._tell_lost = tell_lost
        self._keepers: dict[int, Keeper] = {}

    def keep(self, number: int, lease_id: int, good_until: float, now: float) -> None:
        """Renew a lease now and three times per TTL, until `drop` or LeaseLost.

        The lease is good until `good_until` so far. A LeaseRenewed notice tells of each renewal.
        """
        keeper = Keeper(number, lease_id, good_until)
        self._keepers[number] = keeper
        self._renew(keeper, now)

    def drop(self, number: int) -> None:
        """End the renewals; the lease lives on for the rest of its TTL."""
        keeper = self._keepers.pop(number, None)
        if keeper is not None and keeper.call is not None:
            self._calls.abandon(keeper.call)

    def give_back(self, now: float, done: Callable[[], None]) -> None:
        """End all leases, if a node can be reached; `done` when that is answered, or has failed."""
        keepers = list(self._keepers.values()) if self._calls.endpoints.any_up else []
        waiting = len(keepers)

        def answered(call: Call, now: float) -> None:
            nonlocal waiting
            waiting -= 1
            if not waiting:
                done()

        for keeper in keepers:
            self.drop(keeper.number)
            fields = {"op": "lease_revoke", "ID": keeper.lease_id}
            call = Call(fields, FAREWELL_SECONDS, write=True)
            call.repeatable, call.on_done = True, answered
            self._calls.begin(call, now)
        if not waiting:
            done()

    def tick(self, now: float) -> None:
        """Renew the leases that are due."""
        for keeper in list(self._keepers.values()):
            if keeper.due <= now:
                self._renew(keeper, now)
            else:
                self._calls.wake_by(keeper.due)

    def _renew(self, keeper: Keeper, now: float) -> None:
        keeper.due = FOREVER
        call = Call({"op": "lease_keep_alive", "ID": keeper.lease_id}, keeper.good_until - now)
        call.patient = True
        keeper.call = call
        call.on_done = lambda done, when: self._answered(keeper, done, sent_at=now)
        self._calls.begin(call, now)

    def _answered(self, keeper: Keeper, call: Call, sent_at: float) -> None:
        ttl, error = 0.0, call.error
        if error is None and call.reply is not None:
            try:
                ttl = read(of(LeaseKeepAliveResult), call.reply).ttl
            except LeaseholdError as failure:
                error = failure
        if error is None and ttl <= 0:
            error = LeaseNotFoundError(FAULTS["LeaseNotFound"].message)
        if error is not None:
            if self._keepers.pop(keeper.number, None) is not None:
                self._tell_lost(LeaseLost(keeper.number, error))
            return
        keeper.renewed(ttl, sent_at)
        self._notices.append(LeaseRenewed(keeper.number, keeper.good_until))
        self._calls.wake_by(keeper.due)
