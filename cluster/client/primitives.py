"""What recipes are made of: keys, leases, transactions and watches of one client.

Knows no recipe: locks and elections stand on it, and the Client on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TypeVar

from cluster.client.keys import KeyApi
from cluster.client.lease import LeaseApi
from cluster.client.requests import Key, interval, interval_fields
from cluster.client.stm import ATTEMPTS_MAX, Isolation, Stm, run
from cluster.client.txn import ClientTxn
from cluster.client.watch import Watch

T = TypeVar("T")


class Primitives(KeyApi):
    """The operations on keys, with leases, transactions and watches."""

    @cached_property
    def lease(self) -> LeaseApi:
        """Leases: grant, renew, look at and revoke them."""
        return LeaseApi(self)

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
