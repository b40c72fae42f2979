"""Calls of services on a link to a real node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from cluster import Client
from cluster.etcd.link.connection import NodeAddress
from cluster.etcd.link.node_link import NodeLink
from cluster.etcd.link.pool import Pool
from cluster.launcher.local import LocalCluster
from tests.cluster.etcd.services.probe import ProbeCall
from tests.limits import HANG_SECONDS

FRAME_BYTES_MAX = 64 * 1024 * 1024


def address_of(node: LocalCluster) -> NodeAddress:
    """Where the node is, and who it is."""
    with Client(node.endpoints) as client:
        header = client.status().header
    host, _, port = node.endpoints[0].rpartition("/")[2].rpartition(":")
    return NodeAddress(host, int(port), header.cluster_id, header.member_id, FRAME_BYTES_MAX)


class Bench:
    """Calls of services on a link to a node."""

    def __init__(self, link: NodeLink) -> None:
        self.link = link

    def call(self, method: str, **request: Any) -> ProbeCall:
        """Begin a call with this request."""
        call = ProbeCall(b"/" + method.encode(), self.link)
        if call.rpc.op is not None:
            request = {"op": call.rpc.op, **request}
        call.service.on_request(request)
        return call

    async def ask(self, method: str, **request: Any) -> dict[str, Any]:
        """The one answer of a call; RpcError if it is refused."""
        return await self.call(method, **request).reply()

    async def keys(self, prefix: bytes) -> list[bytes]:
        """The keys that begin so and have the byte `/` next, in the order of their creation."""
        found = await self.ask(
            "etcdserverpb.KV/Range",
            key=prefix + b"/",
            range_end=prefix + b"0",
            sort_target="CREATE",
            sort_order="ASCEND",
        )
        return [kv["key"] for kv in found["kvs"]]

    async def leases(self) -> set[int]:
        """The leases that there are."""
        found = await self.ask("etcdserverpb.Lease/LeaseLeases")
        return {lease["ID"] for lease in found["leases"]}

    async def grant(self) -> int:
        """A lease."""
        lease: int = (await self.ask("etcdserverpb.Lease/LeaseGrant", TTL=60))["ID"]
        return lease


@asynccontextmanager
async def bench(node: LocalCluster) -> AsyncIterator[Bench]:
    """A bench on a link to the node, which ends with the block."""
    link = NodeLink(Pool(asyncio.get_running_loop(), address_of(node)))
    try:
        yield Bench(link)
    finally:
        link.close()


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine to its end."""
    asyncio.run(asyncio.wait_for(test, HANG_SECONDS))
