"""The client's methods for keys: put, get, range, scan, delete, increment, history, compact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Unpack

from cluster.client import replies, results
from cluster.client.arguments import at_least_one, not_negative
from cluster.client.flows.caller import Api, Caller
from cluster.client.flows.openable import OpenableStream
from cluster.client.flows.scan import PAGE_KEYS, Scan
from cluster.client.forms import DataForm
from cluster.client.requests import (
    Key,
    Named,
    get_fields,
    interval,
    interval_fields,
    put_fields,
    range_fields,
    request,
    to_bytes,
)
from cluster.client.results import Data
from cluster.errors import AnswerTooLargeError
from cluster.protocol import RangeOptions

if TYPE_CHECKING:
    from asyncio import Future


class KeyApi(Api, Generic[Data]):
    """The operations on keys, and some of them pipelined (`..._async`)."""

    def __init__(self, caller: Caller, form: DataForm[Data]) -> None:
        super().__init__(caller)
        self._form = form

    async def put(
        self,
        key: Key,
        value: Key = b"",
        *,
        lease: int | Named = 0,
        prev_kv: bool = False,
        ignore_value: bool = False,
        ignore_lease: bool = False,
        ttl: float = 0,
    ) -> results.PutResult[Data]:
        """Set a key. A put without a lease detaches the key from the lease it had.

        `ignore_value` and `ignore_lease` keep the key's value or lease; then the key must exist.
        With a `ttl` (seconds) the same request grants a lease of the key's own: the result has its
        id and TTL. It is not renewed, unless `client.lease.adopt` is used to renew it.

        >>> put = await client.put("a", "1")
        >>> put = await client.put("a", "2", prev_kv=True)
        >>> put.prev_kv.value
        b'1'
        """
        fields = put_fields(key, value, lease, prev_kv, ignore_value, ignore_lease, ttl)
        return await self._caller.request(fields, self._form.put)

    async def get(
        self, key: Key, *, revision: int = 0, serializable: bool = False
    ) -> results.KeyValue[Data] | None:
        """One key, or None when there is no such key.

        >>> put = await client.put("a", "1")
        >>> (await client.get("a")).value
        b'1'
        >>> await client.get("b") is None
        True
        """
        not_negative("revision", revision)
        return await self._caller.request(
            get_fields(key, revision, serializable), self._form.single
        )

    async def range(
        self,
        key: Key | None = None,
        range_end: Key | None = None,
        *,
        prefix: bool = False,
        from_key: bool = False,
        **options: Unpack[RangeOptions],
    ) -> results.RangeResult[Data]:
        """The keys from `key` up to (without) `range_end`, those that begin with `key` (`prefix`),
        all from `key` on (`from_key`), or all keys of the store (no `key`).

        The options: `limit` (of keys), `revision` (of the past), `sort_order` ("ASCEND", "DESCEND")
        and `sort_target` ("KEY", "VERSION", "CREATE", "MOD", "VALUE"), `keys_only`, `count_only`,
        `serializable` (one node answers from what it has, which may be old), and the inclusive
        bounds `min_mod_revision`, `max_mod_revision`, `min_create_revision` and
        `max_create_revision`. A result too large for one answer (64 MiB) is read in pages, at one
        revision, unless it is to be sorted or limited.

        >>> put = await client.put("a/1", "x")
        >>> put = await client.put("a/2", "y")
        >>> [kv.key for kv in await client.range("a/", prefix=True, sort_order="DESCEND")]
        [b'a/2', b'a/1']
        >>> (await client.range("a/", prefix=True, count_only=True)).count
        2
        """
        not_negative("limit", options.get("limit", 0))
        not_negative("revision", options.get("revision", 0))
        keys = interval(key, range_end, prefix, from_key)
        fields = range_fields(keys, options)
        try:
            return await self._caller.request(fields, self._form.range)
        except AnswerTooLargeError:
            if not _may_be_scanned(fields):
                raise
        scan = await Scan._begin(self._caller, self._form, fields, PAGE_KEYS)
        kvs = tuple([kv async for kv in scan])
        return results.RangeResult(scan.header, kvs, more=False, count=scan.count)

    async def get_prefix(
        self, prefix: Key, **options: Unpack[RangeOptions]
    ) -> results.RangeResult[Data]:
        """The keys that begin with `prefix`; `range(prefix, prefix=True)`, with its options."""
        return await self.range(prefix, prefix=True, **options)

    def scan(
        self,
        key: Key | None = None,
        range_end: Key | None = None,
        *,
        prefix: bool = False,
        from_key: bool = False,
        revision: int = 0,
        keys_only: bool = False,
        page_size: int = PAGE_KEYS,
    ) -> OpenableStream[Scan[Data], results.KeyValue[Data]]:
        """The keys of an interval (as in `range`) of any size, one by one, all at one revision.

        It reads pages of at most `page_size` keys, and fewer where values are large, so it needs
        little memory. `revision` 0 is that of the moment when the scan begins.

        >>> put = await client.put("a/1", "x")
        >>> async for kv in client.scan("a/", prefix=True):
        ...     print(kv.key, kv.value)
        b'a/1' b'x'
        """
        not_negative("revision", revision)
        keys = interval(key, range_end, prefix, from_key)
        fields = interval_fields("range", keys, revision=revision, keys_only=keys_only)
        at_least_one("page_size", page_size)
        return OpenableStream(lambda: Scan._begin(self._caller, self._form, fields, page_size))

    async def delete(
        self,
        key: Key,
        range_end: Key | None = None,
        *,
        prefix: bool = False,
        from_key: bool = False,
        prev_kv: bool = False,
    ) -> results.DeleteResult[Data]:
        """Delete a key, or an interval of keys as in `range`, in one revision.

        >>> put = await client.put("a", "1")
        >>> (await client.delete("a")).deleted
        1
        """
        keys = interval(key, range_end, prefix, from_key)
        fields = interval_fields("delete_range", keys, prev_kv=prev_kv)
        return await self._caller.request(fields, self._form.deleted)

    async def increment(self, key: Key, delta: int = 1) -> int:
        """Add to a key's value, a decimal integer of 64 bits, and return the sum; not in etcd.

        A key that does not exist counts as 0; one that does keeps its lease. Raises
        FailedPreconditionError when the value is not such an integer, OutOfRangeError when the sum
        does not fit into 64 bits.

        >>> await client.increment("visits")
        1
        >>> await client.increment("visits", 10)
        11
        """
        fields = request("increment", key=to_bytes(key), delta=delta)
        return (await self._caller.request(fields, replies.of(results.IncrementResult))).value

    async def history(
        self, key: Key, *, limit: int = 0, revision: int = 0
    ) -> results.HistoryResult[Data]:
        """The changes of one key that are not compacted away, newest first; not in etcd.

        `limit`: at most this number of changes. `revision`: none that is later.
        """
        not_negative("limit", limit)
        not_negative("revision", revision)
        fields = request("history", key=to_bytes(key), limit=limit, revision=revision)
        return await self._caller.request(fields, self._form.history)

    async def compact(self, revision: int, physical: bool = False) -> results.CompactResult:
        """Delete the history before a revision; the revision itself can still be read and watched.

        Raises CompactedError when it was compacted there or later already. With `physical` it
        returns when the node that was asked has deleted it from its disk.
        """
        fields = request("compact", revision=revision, physical=physical)
        return await self._caller.request(fields, replies.of(results.CompactResult))

    # --- the same, pipelined ---

    def put_async(
        self, key: Key, value: Key = b"", *, lease: int | Named = 0, prev_kv: bool = False
    ) -> Future[results.PutResult[Data]]:
        """Begin a put and return at once. Puts under way at the same time have no defined order."""
        fields = put_fields(key, value, lease, prev_kv)
        return self._caller.begin(fields, self._form.put)

    def get_async(
        self, key: Key, *, revision: int = 0, serializable: bool = False
    ) -> Future[results.KeyValue[Data] | None]:
        """Begin a get and return at once."""
        not_negative("revision", revision)
        return self._caller.begin(get_fields(key, revision, serializable), self._form.single)

    def delete_async(
        self, key: Key, *, prev_kv: bool = False
    ) -> Future[results.DeleteResult[Data]]:
        """Begin to delete one key and return at once."""
        fields = interval_fields("delete_range", interval(key), prev_kv=prev_kv)
        return self._caller.begin(fields, self._form.deleted)


def _may_be_scanned(fields: dict[str, Any]) -> bool:
    """Whether a range asks for all of its keys in their order, as a scan returns them."""
    in_order = fields.get("sort_order", "NONE") != "DESCEND"
    return in_order and fields.get("sort_target", "KEY") == "KEY" and not fields.get("limit")
