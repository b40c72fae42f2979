"""Client: what a program calls. Synchronous and thread-safe; each client has one I/O thread."""

from __future__ import annotations

from typing import Final

from cluster.client.flows.election import Election
from cluster.client.flows.lease import Lease
from cluster.client.flows.lock import Lock
from cluster.client.flows.primitives import Primitives
from cluster.client.flows.upkeep import UpkeepApi
from cluster.client.requests import Key

SESSION_TTL_SECONDS: Final = 60.0
"""How long others wait for the locks and elections of a dead client, as in etcd's client."""


class Client(Primitives, UpkeepApi):
    """A connection to a cluster; any one of its endpoints is enough.

    `endpoints`: `host:port` (or `tcp://`, `http://`: plain TCP too), a list of them or one string
    with commas; by default $LEASECTL_ENDPOINTS, else 127.0.0.1:2379. The first request connects.
    `dial_timeout` limits the wait for a first connection, `timeout` each request; both are in
    seconds. The client retries writes by itself, and they are still applied once. This takes a
    session; with `exactly_once=False` there is none, and an interrupted write raises
    OutcomeUnknownError. Where a member advertises a `tcp://` URL beside the `http://` URL of its
    front, requests soon go there directly, which is faster; not with `direct=False`.
    """

    # --- held by leases ---

    def session(self, ttl: float = SESSION_TTL_SECONDS) -> Lease:
        """A lease that is kept alive, for several locks, elections and keys; `revoke` it to end."""
        return self.lease.grant(ttl).keep_alive()

    def lock(
        self, name: Key, ttl: float = SESSION_TTL_SECONDS, *, lease: Lease | None = None
    ) -> Lock:
        """A lock that excludes all others of this name, in any client: `with client.lock("job"):`.

        A lease of its own of `ttl` seconds holds it, or the given `lease`.
        """
        return Lock(self, name, ttl, lease)

    def election(
        self, name: Key, ttl: float = SESSION_TTL_SECONDS, *, lease: Lease | None = None
    ) -> Election:
        """An election: to `campaign` in, or to see its `leader`.

        A lease of its own of `ttl` seconds holds a candidacy, or the given `lease`.
        """
        return Election(self, name, ttl, lease)
