"""etcd's v3lock: Lock waits for its turn in the queue of a name, Unlock deletes the key."""

from __future__ import annotations

import asyncio
from typing import Final

from cluster.etcd.rpc.status import RpcError
from cluster.etcd.services.calls import Request
from cluster.etcd.services.contest import enter, leave, wait_for_turn
from cluster.etcd.services.recipes import Recipe, Run
from cluster.faults import UNKNOWN, Fault

SESSION_EXPIRED: Final = Fault(UNKNOWN, "mutex: session is expired")


async def lock(recipe: Recipe, request: Request) -> None:
    """Take the lock; the answer names the key that stands for it while it exists."""
    name = request.get("name", b"")
    place = await enter(recipe.link, name, request.get("lease", 0), b"")
    try:
        won = await wait_for_turn(recipe.link, name, place)
    except (asyncio.CancelledError, RpcError):
        await leave(recipe.link, place)
        raise
    if won is None:
        raise RpcError(*SESSION_EXPIRED)
    await recipe.send({"header": won["header"], "key": place.key})


async def unlock(recipe: Recipe, request: Request) -> None:
    """Give the lock up. A key that is gone already is no error."""
    done = await recipe.ask(op="delete_range", key=request.get("key", b""))
    await recipe.send({"header": done["header"]})


METHODS: Final[dict[str, Run]] = {"Lock": lock, "Unlock": unlock}
"""Every method of the service, by name."""
