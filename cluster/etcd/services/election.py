"""etcd's v3election: Campaign, Proclaim, Leader, Observe and Resign on a queue of keys."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from cluster.etcd.rpc.status import RpcError
from cluster.etcd.services.calls import Reply, Request
from cluster.etcd.services.contest import (
    FIRST,
    Place,
    enter,
    grant,
    guard,
    leave,
    prefix_end,
    wait_for_turn,
)
from cluster.etcd.services.recipes import Recipe, Run, following
from cluster.faults import FAULTS, UNKNOWN, Fault

NO_LEADER: Final = Fault(UNKNOWN, "election: no leader")
NOT_LEADER: Final = Fault(UNKNOWN, "election: not leader")
LEADER_MISSING: Final = Fault(UNKNOWN, '"leader" field must be provided')
LEASE_GONE: Final = FAULTS["LeaseNotFound"]


async def campaign(recipe: Recipe, request: Request) -> None:
    """Wait until this candidate leads. Etcd lets one lead whose key is gone; this does not."""
    name, value = request.get("name", b""), request.get("value", b"")
    place = await enter(recipe.link, name, request.get("lease", 0), value)
    try:
        if place.value != value:
            await _proclaim(recipe, place.key, place.revision, place.lease, value)
        won = await wait_for_turn(recipe.link, name, place)
    except asyncio.CancelledError:
        await leave(recipe.link, place)
        raise
    if won is None:
        raise RpcError(*LEASE_GONE)
    await recipe.send({"header": place.header, "leader": _leader_key(name, place)})


def _leader_key(name: bytes, place: Place) -> dict[str, Any]:
    return {"name": name, "key": place.key, "rev": place.revision, "lease": place.lease}


async def proclaim(recipe: Recipe, request: Request) -> None:
    """Change the value of a leader that still leads. As in etcd, the key gets the lease that is
    named, or one for this request if none is."""
    leader = _leader(request)
    held = leader.get("key", b""), leader.get("rev", 0)
    lease = leader.get("lease", 0)
    owns_lease = not lease
    if owns_lease:
        lease = await grant(recipe.link)
    try:
        done = await _proclaim(recipe, *held, lease, request.get("value", b""))
    except RpcError:
        if owns_lease:
            await recipe.ask(op="lease_revoke", ID=lease)
        raise
    await recipe.send({"header": done["header"]})


async def _proclaim(recipe: Recipe, key: bytes, revision: int, lease: int, value: bytes) -> Reply:
    said = {"request_put": {"key": key, "value": value, "lease": lease}}
    done = await recipe.ask(op="txn", compare=[guard(key, revision)], success=[said])
    if not done["succeeded"]:
        raise RpcError(*NOT_LEADER)
    return done


async def resign(recipe: Recipe, request: Request) -> None:
    """Leave the queue. It is no error when the leader had left it before."""
    leader = _leader(request)
    key = leader.get("key", b"")
    held = guard(key, leader.get("rev", 0))
    deletion = {"request_delete_range": {"key": key}}
    done = await recipe.ask(op="txn", compare=[held], success=[deletion])
    await recipe.send({"header": done["header"]})


def _leader(request: Request) -> dict[str, Any]:
    leader: dict[str, Any] | None = request.get("leader")
    if leader is None:
        raise RpcError(*LEADER_MISSING)
    return leader


async def leader(recipe: Recipe, request: Request) -> None:
    """Say who leads now."""
    found = await _first(recipe, request.get("name", b"") + b"/")
    if not found["kvs"]:
        raise RpcError(*NO_LEADER)
    await recipe.send({"header": found["header"], "kv": found["kvs"][0]})


async def _first(recipe: Recipe, prefix: bytes) -> Reply:
    return await recipe.ask(op="range", key=prefix, range_end=prefix_end(prefix), **FIRST)


async def observe(recipe: Recipe, request: Request) -> None:
    """Send each leader and each value that it proclaims, from now on and for ever."""
    prefix = request.get("name", b"") + b"/"
    while True:
        found = await _first(recipe, prefix)
        header = found["header"]
        if found["kvs"]:
            kv = found["kvs"][0]
        else:
            candidate = await _first_put(recipe, prefix, header["revision"] + 1)
            if candidate is None:
                continue  # compacted meanwhile: look again
            header, kv = candidate
        await recipe.send({"header": header, "kv": kv})
        await _observe_one(recipe, kv["key"], header["revision"] + 1)


async def _first_put(
    recipe: Recipe, prefix: bytes, start_revision: int
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The first candidate that puts its key, and the header of that moment."""
    end = prefix_end(prefix)
    async with following(
        recipe.link, prefix, start_revision, range_end=end, filters=["NODELETE"]
    ) as watch:
        reply = await watch.next()
    if not reply.get("events"):
        return None
    kv = reply["events"][0]["kv"]
    return {**reply["header"], "revision": kv["mod_revision"]}, kv


async def _observe_one(recipe: Recipe, key: bytes, start_revision: int) -> None:
    """Send what one leader proclaims, until its key is deleted or its history is compacted."""
    async with following(recipe.link, key, start_revision) as watch:
        while True:
            reply = await watch.next()
            if reply.get("canceled"):
                return
            for event in reply["events"]:
                if event["type"] == "DELETE":
                    return
                await recipe.send({"header": reply["header"], "kv": event["kv"]})


METHODS: Final[dict[str, Run]] = {
    "Campaign": campaign,
    "Proclaim": proclaim,
    "Leader": leader,
    "Observe": observe,
    "Resign": resign,
}
"""Every method of the service, by name."""
