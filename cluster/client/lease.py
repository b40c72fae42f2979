"""Leases as a program holds them: `client.lease` and the Lease objects that it grants."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from cluster.client import replies, results
from cluster.client.connection import Connection
from cluster.client.core import Notice
from cluster.client.leasing import LeaseLost
from cluster.errors import FAULTS, LeaseholdError, LeaseNotFoundError

if TYPE_CHECKING:
    from cluster.client.caller import Caller


class Lease:
    """A lease: keys put with it are deleted when its TTL (seconds) has passed without a renewal.

    In a `with` block it is renewed in the background and revoked at the end. `lost` is set as soon
    as it can no longer be relied on - revoked, expired, or not renewed within its TTL - and `error`
    then says why.
    """

    def __init__(self, api: LeaseApi, granted: results.LeaseGrantResult) -> None:
        self.id = granted.id
        self.ttl = granted.ttl
        self.granted = granted
        self.lost = threading.Event()
        self.error: LeaseholdError | None = None
        self._api = api
        self._kept_by: tuple[Connection, int] | None = None
        self._told: list[Callable[[], None]] = []

    def keep_alive(self) -> Lease:
        """Renew it every third of its TTL in the background, until `stop` or `revoke`."""
        if self._kept_by is None:
            self._kept_by = self._api.keep(self)
        return self

    def stop(self) -> None:
        """Renew it in the background no longer; it ends when its TTL has passed."""
        if self._kept_by is not None:
            connection, number = self._kept_by
            self._kept_by = None
            connection.detach(number)
            connection.run(lambda core, now: core.keepers.drop(number))

    def keep_alive_once(self) -> results.LeaseKeepAliveResult:
        """Renew it now; LeaseNotFoundError when it is gone."""
        return self._api.keep_alive_once(self.id)

    def time_to_live(self, keys: bool = False) -> results.LeaseTimeToLiveResult:
        """What is left of it, and (`keys`) which keys it holds."""
        return self._api.time_to_live(self.id, keys)

    def revoke(self) -> results.LeaseRevokeResult:
        """End it now and delete its keys; LeaseNotFoundError when it is gone."""
        self.stop()
        return self._api.revoke(self.id)

    @contextmanager
    def when_lost(self, tell: Callable[[], None]) -> Iterator[None]:
        """Within the block, call this when the lease is lost, or at once if it is already.

        It may be called twice, and in the client's I/O thread, so it must not wait for anything.
        """
        self._told.append(tell)
        try:
            if self.lost.is_set():
                tell()
            yield
        finally:
            self._told.remove(tell)

    def __enter__(self) -> Self:
        self.keep_alive()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(LeaseNotFoundError):
            self.revoke()

    def __repr__(self) -> str:
        return f"Lease(id={self.id:016x}, ttl={self.ttl:g})"

    def notice(self, notice: Notice) -> bool:
        """Take what the core says of it. In the I/O thread."""
        if isinstance(notice, LeaseLost):
            self.abort(notice.error)
        return True

    def abort(self, error: LeaseholdError) -> None:
        """It can no longer be relied on, for this reason."""
        self.error = error
        self.lost.set()
        for tell in tuple(self._told):
            tell()


class LeaseApi:
    """`client.lease`: grant, renew, look at and revoke leases by id."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    def grant(self, ttl: float, id: int = 0) -> Lease:  # noqa: A002 - etcd's name for it
        """A new lease of at least `ttl` seconds; the cluster chooses the id when it is 0.

        FailedPreconditionError when the id is taken. The Lease's `ttl` is what was really granted.
        """
        fields: dict[str, Any] = {"op": "lease_grant", "TTL": ttl}
        if id:
            fields["ID"] = id
        return Lease(self, self._client.request(fields, replies.lease_grant_result, write=True))

    def adopt(self, lease_id: int) -> Lease:
        """A Lease that exists already: of a put with a `ttl`, or of this program's former life.

        LeaseNotFoundError when there is none.
        """
        found = self.time_to_live(lease_id)
        if found.ttl < 0:
            raise LeaseNotFoundError(FAULTS["LeaseNotFound"].message)
        return Lease(self, results.LeaseGrantResult(found.header, lease_id, found.granted_ttl))

    def revoke(self, lease_id: int) -> results.LeaseRevokeResult:
        """End a lease and delete its keys; LeaseNotFoundError when it is gone."""
        fields = {"op": "lease_revoke", "ID": lease_id}
        return self._client.request(fields, replies.lease_revoke_result, write=True)

    def keep_alive_once(self, lease_id: int) -> results.LeaseKeepAliveResult:
        """Renew a lease for its whole TTL; LeaseNotFoundError when it is gone."""
        # No session: to renew twice is to renew.
        fields = {"op": "lease_keep_alive", "ID": lease_id}
        renewed = self._client.request(fields, replies.lease_keep_alive_result)
        if renewed.ttl <= 0:
            raise LeaseNotFoundError(FAULTS["LeaseNotFound"].message)
        return renewed

    def time_to_live(self, lease_id: int, keys: bool = False) -> results.LeaseTimeToLiveResult:
        """What is left of a lease; its `ttl` is -1 when there is no such lease."""
        fields: dict[str, Any] = {"op": "lease_time_to_live", "ID": lease_id}
        if keys:
            fields["keys"] = True
        return self._client.request(fields, replies.lease_time_to_live_result)

    def list(self) -> results.LeaseListResult:
        """The ids of all leases."""
        return self._client.request({"op": "lease_leases"}, replies.lease_list_result)

    def keep(self, lease: Lease) -> tuple[Connection, int]:
        """Renew a lease in the background; by which connection, and under which number."""
        connection = self._client.connection()
        number = connection.attach(lease)
        connection.run(lambda core, now: core.keepers.keep(number, lease.id, lease.ttl, now))
        return connection, number
