"""Leases as a program holds them: `client.lease` and the Lease objects that it grants."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Generic, Self

from cluster.client import replies, results
from cluster.client.arguments import lease_ttl
from cluster.client.engine.notices import LeaseLost, LeaseRenewed, Notice
from cluster.client.flows.inherited import INHERITED, Owned
from cluster.client.flows.lost import Lost
from cluster.client.flows.openable import Openable
from cluster.client.flows.shell import Connection, Subscriber
from cluster.client.requests import request
from cluster.client.results import Data
from cluster.errors import LeaseholdError, LeaseLostError, LeaseNotFoundError
from cluster.faults import FAULTS

if TYPE_CHECKING:
    from cluster.client.flows.caller import Caller
    from cluster.client.forms import DataForm

NOT_RENEWED: Final = "no renewal was acknowledged within its TTL"
REVOKED: Final = "it was revoked by this client"
NEVER: Final = float("-inf")


class Lease(Owned, Generic[Data]):
    """A lease: keys put with it are deleted when its TTL (seconds) has passed without a renewal.

    In an `async with` block it is renewed in the background and revoked at the end. `lost` is set
    as soon as the lease can no longer be relied on, and stays set; `error` then says why. A lease
    is lost when this client revokes it, when a renewal finds that it is gone, and when no renewal
    was acknowledged within its TTL. The last may be because nobody renews it, because no node
    answers, or because this process was frozen.

    In a forked child it counts as lost: the lease is the parent's, and nothing is sent for it.
    """

    def __init__(
        self, api: LeaseApi[Data], granted: results.LeaseGrantResult, good_until: float
    ) -> None:
        super().__init__()
        self.id = granted.id
        self.ttl = granted.ttl
        self.granted = granted
        self.lost = Lost(api._caller.shell.signal(), self.seconds_left)
        self._api = api
        # Monotonic seconds. Counted from before the request, since the TTL cannot have begun
        # earlier: so the lease never counts as good here after the cluster has ended it.
        self._good_until = good_until
        self._error: LeaseholdError | None = None
        self._kept_by: tuple[Connection, int] | None = None
        self._told: list[Callable[[], None]] = []

    @property
    def error(self) -> LeaseholdError | None:
        """Why the lease is lost; None while it is not."""
        if self.is_inherited:
            return LeaseLostError(INHERITED)
        self.seconds_left()
        return self._error

    def seconds_left(self) -> float:
        """For how many seconds this client may rely on the lease if it is not renewed."""
        if self.is_inherited:
            return NEVER
        left = self._good_until - time.monotonic()
        if left <= 0 and self._error is None:
            # Lost for good: an acknowledgement that comes later cannot undo what `when_lost` told.
            self._abort(LeaseLostError(NOT_RENEWED))
        return left

    def keep_alive(self) -> Self:
        """Renew the lease in the background every third of its TTL, until `stop` or `revoke`.

        LeaseLostError when it is lost already.
        """
        self._refuse_if_inherited()
        if self.lost.is_set():
            raise LeaseLostError(f"the lease is lost: {self._error}")
        if self._kept_by is None:
            renewals = Subscriber(self._notice, self._abort, self._orphan)
            self._kept_by = self._api._keep(self.id, renewals, self._good_until)
        return self

    def stop(self) -> None:
        """End the renewals in the background; the lease is lost when its TTL has passed."""
        kept_by, self._kept_by = self._kept_by, None
        if kept_by is not None:
            connection, number = kept_by
            connection.detach(number)
            connection.run(lambda core, now: core.keepers.drop(number))

    async def keep_alive_once(self) -> results.LeaseKeepAliveResult:
        """Renew the lease once, now; LeaseNotFoundError when it is gone."""
        self._refuse_if_inherited()
        asked = time.monotonic()
        try:
            renewed = await self._api.keep_alive_once(self.id)
        except LeaseNotFoundError as error:
            self._abort(error)
            raise
        # Counted from before the request, as in LeaseApi.grant.
        self._renewed(asked + renewed.ttl)
        return renewed

    async def time_to_live(self, keys: bool = False) -> results.LeaseTimeToLiveResult[Data]:
        """The remaining time of the lease, and with `keys` the keys on it."""
        found = await self._api.time_to_live(self.id, keys)
        if found.ttl < 0:
            self._abort(LeaseNotFoundError(FAULTS["LeaseNotFound"].message))
        return found

    async def revoke(self) -> results.LeaseRevokeResult:
        """End the lease now and delete its keys; LeaseNotFoundError when it is gone."""
        self._refuse_if_inherited()
        # Before the request: as soon as that is applied, others may have what the lease held.
        self._abort(LeaseLostError(REVOKED))
        return await self._api.revoke(self.id)

    @contextmanager
    def when_lost(self, tell: Callable[[], None]) -> Iterator[None]:
        """Within the block, call `tell` when the lease is lost, or at once if it is already.

        It may be called twice, and by the client's carrier (its I/O thread, or
        the event loop), so it must not wait for anything.
        """
        self._tell_when_lost(tell)
        try:
            yield
        finally:
            self._tell_no_more(tell)

    def _tell_when_lost(self, tell: Callable[[], None]) -> None:
        """As `when_lost`, until `_tell_no_more`."""
        self._told.append(tell)
        if self.lost.is_set():
            tell()

    def _tell_no_more(self, tell: Callable[[], None]) -> None:
        """End a `_tell_when_lost`."""
        self._told.remove(tell)

    async def __aenter__(self) -> Self:
        self.keep_alive()
        return self

    async def __aexit__(self, exception_type: type[BaseException] | None, *error: object) -> None:
        try:
            await self._api._caller.shell.see_through(self.revoke())
        except LeaseNotFoundError:
            return
        except LeaseholdError:
            # The error of the block must not be hidden by one of the revocation.
            if exception_type is None:
                raise

    def __repr__(self) -> str:
        return f"Lease(id={self.id:016x}, ttl={self.ttl:g})"

    def _notice(self, notice: Notice) -> bool:
        """Take a notice of the engine about the renewals; called by its carrier."""
        match notice:
            case LeaseRenewed():
                self._renewed(notice.good_until)
            case LeaseLost():
                self._abort(notice.error)
            case _:
                raise AssertionError("a lease is told of its renewals")
        return True

    def _abort(self, error: LeaseholdError) -> None:
        """Mark the lease as lost, for this reason; the first reason stays. In any thread."""
        if self.is_inherited:
            return  # in a forked child it counts as lost anyway
        if self._error is None:
            self._error = error
        self._good_until = NEVER
        self.stop()
        self.lost._set()
        for tell in tuple(self._told):
            tell()

    def _orphan(self, error: LeaseholdError) -> None:
        """In a forked child there is nothing to do: `error` and `lost` look at the process id."""

    def _renewed(self, good_until: float) -> None:
        if self._error is None:
            self._good_until = max(self._good_until, good_until)


class LeaseApi(Generic[Data]):
    """`client.lease`: grant leases; list, renew and revoke them by id."""

    def __init__(self, caller: Caller, form: DataForm[Data]) -> None:
        self._caller = caller
        self._form = form

    def grant(self, ttl: float, id: int = 0) -> Openable[Lease[Data]]:  # noqa: A002 - etcd's name
        """A new lease of at least `ttl` seconds; the cluster chooses the id when it is 0.

        FailedPreconditionError when the id is taken. The cluster may grant more than was asked
        for; the Lease's `ttl` is the granted one.

        >>> lease = await client.lease.grant(60)
        >>> lease.ttl, lease.lost.is_set()
        (60, False)
        >>> revoked = await lease.revoke()
        >>> lease.lost.is_set()
        True
        """
        fields = request("lease_grant", TTL=lease_ttl(ttl), ID=id)
        return Openable(lambda: self._grant(fields))

    def adopt(self, lease_id: int) -> Openable[Lease[Data]]:
        """A Lease object for a lease that exists: one of a put with a `ttl`, for example, or one
        that this program was granted before it was restarted.

        LeaseNotFoundError when there is none.
        """
        return Openable(lambda: self._adopt(lease_id))

    async def revoke(self, lease_id: int) -> results.LeaseRevokeResult:
        """End a lease and delete its keys; LeaseNotFoundError when it is gone."""
        fields = request("lease_revoke", ID=lease_id)
        return await self._caller.request(fields, replies.of(results.LeaseRevokeResult))

    async def keep_alive_once(self, lease_id: int) -> results.LeaseKeepAliveResult:
        """Renew a lease for its whole TTL; LeaseNotFoundError when it is gone."""
        # Needs no session: to renew twice does no harm.
        fields = request("lease_keep_alive", ID=lease_id)
        decode = replies.of(results.LeaseKeepAliveResult)
        renewed = await self._caller.request(fields, decode, write=False)
        if renewed.ttl <= 0:
            raise LeaseNotFoundError(FAULTS["LeaseNotFound"].message)
        return renewed

    async def time_to_live(
        self, lease_id: int, keys: bool = False
    ) -> results.LeaseTimeToLiveResult[Data]:
        """The remaining time of a lease; `ttl` is -1 when there is no such lease."""
        fields = request("lease_time_to_live", ID=lease_id, keys=keys)
        return await self._caller.request(fields, self._form.lease)

    async def list(self) -> results.LeaseListResult:
        """The ids of all leases."""
        decode = replies.of(results.LeaseListResult)
        return await self._caller.request(request("lease_leases"), decode)

    def _keep(
        self, lease_id: int, renewals: Subscriber, good_until: float
    ) -> tuple[Connection, int]:
        """Renew a lease in the background; the connection that does so, and its number there."""
        connection = self._caller.connection()
        number = connection.attach(renewals)
        connection.run(lambda core, now: core.keepers.keep(number, lease_id, good_until, now))
        return connection, number

    async def _grant(self, fields: dict[str, Any]) -> Lease[Data]:
        asked = time.monotonic()
        decode = replies.of(results.LeaseGrantResult)
        granted = await self._caller.request(fields, decode, regret=_revocation)
        return Lease(self, granted, asked + granted.ttl)

    async def _adopt(self, lease_id: int) -> Lease[Data]:
        asked = time.monotonic()
        found = await self.time_to_live(lease_id)
        if found.ttl < 0:
            raise LeaseNotFoundError(FAULTS["LeaseNotFound"].message)
        granted = results.LeaseGrantResult(found.header, lease_id, found.granted_ttl)
        return Lease(self, granted, asked + found.remaining_ms / 1000)


def _revocation(granted: replies.Reply) -> dict[str, Any]:
    return request("lease_revoke", ID=granted["ID"])
