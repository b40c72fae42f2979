"""Client: what a program does with a cluster. Synchronous and thread-safe; one I/O thread each."""

from __future__ import annotations

from typing import Final

from cluster.client.election import Election
from cluster.client.lease import Lease
from cluster.client.lock import Lock
from cluster.client.primitives import Primitives
from cluster.client.requests import Key
from cluster.client.upkeep import UpkeepApi

SESSION_TTL_SECONDS: Final = 60.0
"""How long others wait for what a dead client held, as in etcd's client."""


class Client(Primitives, UpkeepApi):
    """A connection to a cluster; any one of its endpoints is enough.

    `endpoints`: `host:port` (or `tcp://`, `http://`: plain TCP too), a list of them or one string
    with commas; by default $LEASECTL_ENDPOINTS, else 127.0.0.1:2379. Nothing is connected before
    the first request. `dial_timeout` limits the wait for a first connection, `timeout` each
    request, both in seconds. Writes are retried by themselves and still applied once;
    `exactly_once=False` spares the session that this takes, and an interrupted write then raises
    OutcomeUnknownError.
    """

    # --- what is held by leases ---

    def session(self, ttl: float = SESSION_TTL_SECONDS) -> Lease:
        """A lease that is kept alive, for several locks, elections and keys; `revoke` it to end."""
        return self.lease.grant(ttl).keep_alive()

    def lock(
        self, name: Key, ttl: float = SESSION_TTL_SECONDS, *, lease: Lease | None = None
    ) -> Lock:
        """A lock that excludes all others of this name, in any client: `with client.lock("job"):`.

        It is held by a lease of its own of `ttl` seconds, or by the one given.
        """
        return Lock(self, name, ttl, lease)

    def election(
        self, name: Key, ttl: float = SESSION_TTL_SECONDS, *, lease: Lease | None = None
    ) -> Election:
        """An election: to `campaign` in, or to see who is its `leader`.

        A candidate is there by a lease of its own of `ttl` seconds, or by the one given.
        """
        return Election(self, name, ttl, lease)
