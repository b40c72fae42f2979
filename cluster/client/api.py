"""Client: what a program does with a cluster. Synchronous and thread-safe; one I/O thread each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from cluster.client.election import Election
from cluster.client.keys import KeyApi
from cluster.client.lease import Lease, LeaseApi
from cluster.client.lock import Lock
from cluster.client.requests import Key, interval, interval_fields
from cluster.client.stm import ATTEMPTS_MAX, Isolation, Stm, run
from cluster.client.txn import ClientTxn
from cluster.client.upkeep import UpkeepApi
from cluster.client.watch import Watch

T = TypeVar("T")

SESSION_TTL_SECONDS: Final = 60.0
"""How long others wait for what a dead client held, as in etcd's client."""


class Client(KeyApi, UpkeepApi):
    """A connection to a cluster; any one of its endpoints is enough.

    `endpoints`: `host:port` (or `tcp://`, `http://`: plain TCP too), a list of them or one string
    with commas; by default $LEASECTL_ENDPOINTS, else 127.0.0.1:2379. Nothing is connected before
    the first request. `dial_timeout` limits the wait for a first connection, `timeout` each
    request, both in seconds. Writes are retried by themselves and still applied once;
    `exactly_once=False` spares the session that this takes, and an interrupted write then raises
    OutcomeUnknownError.
    """

    def __init__(
        self,
        endpoints: str | Iterable[str] | None = None,
        *,
        dial_timeout: float = 5.0,
        timeout: float = 5.0,
        exactly_once: bool = True,
    ) -> None:
        super().__init__(
            endpoints, dial_timeout=dial_timeout, timeout=timeout, exactly_once=exactly_once
        )
        self.lease = LeaseApi(self)

    # --- transactions ---

    def txn(self) -> ClientTxn:
        """A transaction: `if_` compares hold `then` these operations, `else_` those; `commit`.

        Compares and operations are made by `cluster.ops`.
        """
        return ClientTxn(self)

    def stm(
        self,
        function: Callable[[Stm], T],
        *,
        isolation: Isolation = Isolation.SERIALIZABLE_SNAPSHOT,
        prefetch: Iterable[Key] = (),
        attempts: int = ATTEMPTS_MAX,
    ) -> T:
        """Run a function that reads and writes keys through its argument as one transaction.

        What it returns is returned when it has committed. It runs again when others were in its
        way, so it must have no other effects; ConflictError after so many `attempts`. What it
        raises goes to the caller, and nothing is written. `prefetch`: keys to read in one request
        beforehand.
        """
        return run(self, function, isolation, prefetch, attempts)

    # --- watch ---

    def watch(
        self,
        key: Key,
        range_end: Key | None = None,
        *,
        prefix: bool = False,
        from_key: bool = False,
        start_revision: int | None = None,
        prev_kv: bool = False,
        filters: Iterable[str] = (),
        progress_notify: bool = False,
        fragment: bool = False,
        keys_only: bool = False,
    ) -> Watch:
        """Follow the changes of a key or an interval (as in `range`), from now or from a revision.

        When it returns, the cluster has accepted the watch: what is written from then on is seen.
        `filters`: "NOPUT", "NODELETE". `progress_notify`: an idle watch tells now and then, by an
        empty batch in `batches`, how far it has come. `fragment`: a large revision may travel in
        several messages; it arrives whole all the same. `keys_only`: without values.
        """
        keys = interval(key, range_end, prefix, from_key)
        fields = interval_fields("watch_create", keys)
        if start_revision is not None:
            fields["start_revision"] = start_revision
        flags = {
            "prev_kv": prev_kv,
            "progress_notify": progress_notify,
            "fragment": fragment,
            "keys_only": keys_only,
            "filters": list(filters),
        }
        fields.update((name, value) for name, value in flags.items() if value)
        return Watch(self, self.connection(), fields, self._timeout)

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
