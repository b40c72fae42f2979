"""Primitives: the keys, leases, transactions and watches of one client.

It refuses to know recipes: locks and elections are made of it, and the Client adds them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import cached_property
from typing import TypeVar

from cluster.client.flows.keys import KeyApi
from cluster.client.flows.lease import LeaseApi
from cluster.client.flows.mirror import Mirror
from cluster.client.flows.openable import Openable, OpenableStream
from cluster.client.flows.stm import ATTEMPTS_MAX, Isolation, Stm, run
from cluster.client.flows.txn import ClientTxn
from cluster.client.flows.watch import Watch, WatchCallback
from cluster.client.forms import BYTES
from cluster.client.requests import Key, interval, interval_fields
from cluster.client.results import Data, Event

T = TypeVar("T")


class Primitives(KeyApi[Data]):
    """The operations on keys, with leases, transactions and watches."""

    @cached_property
    def _plain(self) -> Primitives:
        """The same with bytes, of which all is made that a client keeps in keys of its own."""
        return Primitives(self._caller, BYTES)

    @property
    def lease(self) -> LeaseApi[Data]:
        """Leases: grant, list, renew and revoke them; `help(client.lease)` has the methods."""
        return LeaseApi(self._caller, self._form)

    # --- transactions ---

    def txn(self) -> ClientTxn[Data]:
        """A transaction to build: `.if_(compares).then(operations).else_(operations).commit()`.

        `cluster.ops` makes compares and operations.

        >>> txn = client.txn().if_(ops.version("a") == 0).then(ops.put("a", "new"))
        >>> (await txn.commit()).succeeded
        True
        >>> (await txn.commit()).succeeded
        False
        """
        return ClientTxn(self._caller, self._form)

    async def stm(
        self,
        function: Callable[[Stm[Data]], Awaitable[T]],
        *,
        isolation: Isolation = Isolation.SERIALIZABLE_SNAPSHOT,
        prefetch: Iterable[Key] = (),
        attempts: int = ATTEMPTS_MAX,
    ) -> T:
        """Run a function that reads and writes keys through its argument as one transaction.

        Returns what the function returned in the attempt that committed. The function runs again
        when another client's write came in its way, so it must have no other effects;
        ConflictError when none of `attempts` runs could commit. An exception of the function goes
        to the caller, and nothing is written. `prefetch`: keys to read in one request beforehand.

        >>> async def more(keys):
        ...     keys["n"] = str(int(await keys.get("n") or 0) + 1)
        >>> await client.stm(more)
        >>> (await client.get("n")).value
        b'1'
        """
        return await run(self._caller, self._form, function, isolation, prefetch, attempts)

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
        callback: WatchCallback[Data] | None = None,
    ) -> OpenableStream[Watch[Data], Event[Data]]:
        """Follow the changes of a key or an interval (as in `range`), from now or from a revision.

        When it returns, the cluster has accepted the watch: later writes are seen. `filters`:
        "NOPUT", "NODELETE". `progress_notify`: an idle watch now and then gets an empty batch (in
        `batches`), whose header tells up to which revision the watch is complete. `fragment`: a
        large revision may travel in several messages; it still arrives whole. `keys_only`: events
        come without values. `callback`: it is called with each batch of events, one after the
        other, and with the error that ends the watch, if one does; then nothing comes to `get` and
        to iterations.

        >>> async with client.watch("a") as watch:
        ...     put = await client.put("a", "1")
        ...     event = await watch.get(timeout=10)
        >>> event.type, event.kv.key, event.kv.value
        ('PUT', b'a', b'1')
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
        return OpenableStream(lambda: Watch(self._caller, self._form, fields, callback)._begin())

    def mirror(self, prefix: Key) -> Openable[Mirror[Data]]:
        """A live dict of the keys with a prefix: read at once, then followed.

        >>> put = await client.put("config/colour", "red")
        >>> async with client.mirror("config/") as mirror:
        ...     put = await client.put("config/size", "7")
        ...     reached = await mirror.wait_for(put.header.revision, timeout=10)
        ...     dict(mirror)
        {b'config/colour': b'red', b'config/size': b'7'}
        """
        return Openable(lambda: Mirror(self._caller, self._form, prefix)._begin())
