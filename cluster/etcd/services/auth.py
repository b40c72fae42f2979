"""The Auth service of a cluster that has no users and no roles: `rpc.no_auth`, with a header."""

from __future__ import annotations

from cluster.etcd.rpc.no_auth import answer
from cluster.etcd.services.calls import Request
from cluster.etcd.services.recipes import Recipe


async def auth(recipe: Recipe, request: Request) -> None:
    """Answer what etcd answers; the header is the node's of now."""
    fields = answer(recipe.rpc, request)
    status = await recipe.ask(op="status")
    await recipe.send({"header": status["header"], **fields})
