"""The queue of keys that locks and elections share, in etcd's layout.

A contender for `name` puts the key `name/<lease in hex>` on its lease. The key that was created
first has the turn; each other contender watches the key just before its own only.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final, NamedTuple

from cluster.etcd.rpc.status import RpcError
from cluster.etcd.services.calls import Link, Reply, Request
from cluster.etcd.services.recipes import ask, following
from cluster.faults import CANCELED

SESSION_TTL_SECONDS: Final = 60
"""What etcd grants for a request that names no lease; nobody renews it."""

FIRST: Final[Request] = {"sort_target": "CREATE", "sort_order": "ASCEND", "limit": 1}
LAST: Final[Request] = {"sort_target": "CREATE", "sort_order": "DESCEND", "limit": 1}


class Place(NamedTuple):
    """A contender's place: its key, the revision that created it, and what is in it.

    `header` is the one of the answer by which it was taken or found. `is_new`: by this call.
    """

    key: bytes
    revision: int
    lease: int
    value: bytes
    header: dict[str, Any]
    is_new: bool
    owns_lease: bool

    def guard(self) -> Request:
        """The compare that holds while the place is kept."""
        return guard(self.key, self.revision)


def guard(key: bytes, revision: int) -> Request:
    """The compare that holds while the key that this revision created is there."""
    return {"key": key, "target": "CREATE", "result": "EQUAL", "create_revision": revision}


def prefix_end(prefix: bytes) -> bytes:
    """The end of the range of all keys that begin with a prefix whose last byte is below 0xff."""
    return prefix[:-1] + bytes((prefix[-1] + 1,))


async def enter(link: Link, name: bytes, lease: int, value: bytes) -> Place:
    """Take the last place of the queue, or find the place that the lease has there already.

    A call that is cancelled meanwhile waits for the outcome, and leaves no place that is new.
    """
    entering = asyncio.ensure_future(_enter(link, name, lease, value))
    try:
        return await asyncio.shield(entering)
    except asyncio.CancelledError:
        with suppress(RpcError):
            place = await entering
            if place.is_new:
                await leave(link, place)
        raise


async def _enter(link: Link, name: bytes, lease: int, value: bytes) -> Place:
    owns_lease = not lease
    if owns_lease:
        lease = await grant(link)
    key = name + b"/%x" % lease
    done = await ask(
        link,
        op="txn",
        compare=[guard(key, 0)],
        success=[{"request_put": {"key": key, "value": value, "lease": lease}}],
        failure=[{"request_range": {"key": key}}],
    )
    header = done["header"]
    if done["succeeded"]:
        return Place(key, header["revision"], lease, value, header, True, owns_lease)
    found = done["responses"][0]["response_range"]["kvs"][0]
    return Place(key, found["create_revision"], lease, found["value"], header, False, owns_lease)


async def grant(link: Link) -> int:
    """A lease for a request that names none."""
    lease: int = (await ask(link, op="lease_grant", TTL=SESSION_TTL_SECONDS))["ID"]
    return lease


async def leave(link: Link, place: Place) -> None:
    """Give a place up, with the lease if it was granted for it; errors are not told to anybody."""
    with suppress(RpcError):
        if place.owns_lease:
            await ask(link, op="lease_revoke", ID=place.lease)
            return
        deletion = {"request_delete_range": {"key": place.key}}
        await ask(link, op="txn", compare=[place.guard()], success=[deletion])


async def wait_for_turn(link: Link, name: bytes, place: Place) -> Reply | None:
    """Wait until no place is before this one; its key-value's range then, None if it is gone."""
    prefix = name + b"/"
    while True:
        before = {
            "key": prefix,
            "range_end": prefix_end(prefix),
            "max_create_revision": place.revision - 1,
            **LAST,
        }
        reads = [{"request_range": before}, {"request_range": {"key": place.key}}]
        done = await ask(link, op="txn", compare=[place.guard()], success=reads)
        if not done["succeeded"]:
            return None
        ahead = done["responses"][0]["response_range"]["kvs"]
        if not ahead:
            return done
        await _wait_for_deletion(link, ahead[0]["key"], done["header"]["revision"] + 1)


async def _wait_for_deletion(link: Link, key: bytes, start_revision: int) -> None:
    """Wait until a key is deleted, or until it is worth looking again."""
    async with following(link, key, start_revision, filters=["NOPUT"]) as watch:
        reply = await watch.next()
        # The history is compacted away: whether the key is gone, the next look says.
        if reply.get("canceled") and not reply.get("compact_revision"):
            raise RpcError(CANCELED, reply.get("cancel_reason") or "etcdserver: watch canceled")
