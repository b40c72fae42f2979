"""The calls for leases, and the object that a program has for one."""

from __future__ import annotations

from collections.abc import Iterator

from cluster.compat.etcd3.calls import Calls
from cluster.compat.etcd3.etcdrpc import LeaseKeepAliveResponse, LeaseTimeToLiveResponse
from cluster.compat.etcd3.exceptions import translated
from cluster.errors import LeaseNotFoundError


class LeaseCalls(Calls):
    """The calls for leases. Nothing renews a lease by itself: `refresh` does, when it is called."""

    @translated
    def lease(self, ttl: float, lease_id: int | None = None) -> Lease:
        """A new lease of at least `ttl` seconds; the cluster chooses the id if none is given."""
        granted = self._client.lease.grant(ttl, lease_id or 0)
        return Lease(granted.id, _whole(granted.ttl), self)

    @translated
    def revoke_lease(self, lease_id: int) -> None:
        """End a lease and delete its keys."""
        self._client.lease.revoke(lease_id)

    @translated
    def refresh_lease(self, lease_id: int) -> Iterator[LeaseKeepAliveResponse]:
        """Renew a lease, now; the one answer, whose `TTL` is 0 when there is no such lease."""
        try:
            renewed = self._client.lease.keep_alive_once(lease_id)
        except LeaseNotFoundError:
            gone = self._client.lease.time_to_live(lease_id)
            return iter([LeaseKeepAliveResponse(gone.header, lease_id, 0)])
        return iter([LeaseKeepAliveResponse(renewed.header, lease_id, _whole(renewed.ttl))])

    @translated
    def get_lease_info(self, lease_id: int) -> LeaseTimeToLiveResponse:
        """The state of a lease, and its keys."""
        found = self._client.lease.time_to_live(lease_id, keys=True)
        keys = list(found.keys or ())
        return LeaseTimeToLiveResponse(
            found.header, found.id, found.ttl, _whole(found.granted_ttl), keys
        )


class Lease:
    """A lease: keys put with it are deleted when `ttl` seconds have passed without a renewal."""

    def __init__(self, lease_id: int, ttl: float, etcd_client: LeaseCalls) -> None:
        self.id = lease_id
        self.ttl = ttl
        self.etcd_client = etcd_client

    def revoke(self) -> None:
        """End the lease and delete its keys."""
        self.etcd_client.revoke_lease(self.id)

    def refresh(self) -> list[LeaseKeepAliveResponse]:
        """Renew the lease."""
        return list(self.etcd_client.refresh_lease(self.id))

    @property
    def remaining_ttl(self) -> int:
        """The seconds left, -1 when the lease has ended."""
        return self.etcd_client.get_lease_info(self.id).TTL

    @property
    def granted_ttl(self) -> float:
        """The seconds that were granted."""
        return self.etcd_client.get_lease_info(self.id).grantedTTL

    @property
    def keys(self) -> list[bytes]:
        """The keys of the lease."""
        return self.etcd_client.get_lease_info(self.id).keys

    def __repr__(self) -> str:
        return f"Lease({self.id}, ttl={self.ttl})"


def _whole(ttl: float) -> float:
    """Seconds as an integer, as etcd has them, unless a part of a second was asked for."""
    return int(ttl) if ttl == int(ttl) else ttl
