"""The gRPC server of a front in a thread, on a port of the system's choice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cluster.etcd.counters import RpcCounters
from cluster.etcd.grpc.server import GrpcServer
from cluster.etcd.link.connection import NodeAddress
from cluster.etcd.link.node_link import NodeLink
from cluster.etcd.link.pool import Pool
from cluster.etcd.rpc.mapping import ResponseEncoder

REQUEST_BYTES_MAX = 1_572_864


@contextmanager
def serving(address: NodeAddress) -> Iterator[int]:
    """Serve this node within the block; yields the port on loopback."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    replies = ResponseEncoder(address.cluster_id, address.member_id)
    server = GrpcServer(replies, RpcCounters(), REQUEST_BYTES_MAX)
    pool = Pool(loop, address)

    async def listen() -> asyncio.Server:
        connect = lambda: server.connection(NodeLink(pool))  # noqa: E731
        return await loop.create_server(connect, "127.0.0.1", 0)

    async def end(listener: asyncio.Server) -> None:
        listener.close()
        await listener.wait_closed()

    listener = asyncio.run_coroutine_threadsafe(listen(), loop).result()
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(end(listener), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
