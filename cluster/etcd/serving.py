"""The serving half of a front: it waits for its turn, then serves until its node ends.

Here the protocols are put together. Refuses to know how a connection is accepted or served.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import logging
import os
import signal
import socket
from functools import partial
from importlib.util import find_spec
from typing import Final

from cluster.etcd.counters import RpcCounters
from cluster.etcd.front import Front, PortKind, Protocols
from cluster.etcd.grpc.server import GrpcServer
from cluster.etcd.link.connection import Loop
from cluster.etcd.rpc.mapping import ResponseEncoder
from cluster.etcd.web.server import WebServer
from cluster.front_config import FrontConfig
from cluster.logs import say_counts
from cluster.repeats import EVERY_MS

HAS_UVLOOP: Final = find_spec("uvloop") is not None
if HAS_UVLOOP:  # before the fork, so that both halves share it
    import uvloop

EXIT_NODE_AWAY: Final = 1

GC_THRESHOLDS: Final = (10_000, 20, 50)
"""Young objects are looked at 10,000 at a time. All are looked at seldom, but they are: a closed
connection may leave its protocols in a cycle."""

log = logging.getLogger("leasehold.front")


def serve(config: FrontConfig) -> int:
    """Serve the node's clients; the exit status. Does not return if the node ends."""
    # While another process serves, this one waits. The lock is free when that one ends.
    fcntl.lockf(config.turn, fcntl.LOCK_EX)
    gc.set_threshold(*GC_THRESHOLDS)
    loop: Loop = uvloop.new_event_loop() if HAS_UVLOOP else asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.add_reader(config.life, os._exit, 0)
    return loop.run_until_complete(_serve(loop, config))


async def _serve(loop: Loop, config: FrontConfig) -> int:
    front = Front(loop, config, protocols_of(config))
    reason = await front.reach()
    if reason:
        log.error("no way to the node at port %d: %s", config.own_port, reason)
        return EXIT_NODE_AWAY
    # Until here SIGTERM ends this process at once. uvloop forgets one that comes to a handler
    # before the loop runs.
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    for number in config.listening:
        front.listen([socket.socket(fileno=number)], _kind(config, number))
    for number in config.listening_metrics:
        front.listen([socket.socket(fileno=number)], _kind(config, number, only_metrics=True))
    _say_counts(loop)
    await stopping.wait()
    await front.stop()
    os.eventfd_write(config.done, 1)
    await front.wait_for_the_rest()
    return 0


def _kind(config: FrontConfig, number: int, *, only_metrics: bool = False) -> PortKind:
    """What is spoken at a listening socket of this number."""
    plain, tls = number in config.listening_plain, number in config.listening_tls
    return PortKind(plain=plain, tls=tls, only_metrics=only_metrics)


def _say_counts(loop: Loop) -> None:
    """Write, once a minute, how often lines have come that were held back."""
    say_counts()
    loop.call_later(EVERY_MS / 1_000, _say_counts, loop)


def protocols_of(config: FrontConfig) -> Protocols:
    """What serves each kind of connection."""
    counters = RpcCounters()
    grpc = GrpcServer(
        ResponseEncoder(config.cluster_id, config.member_id), counters, config.request_bytes_max
    )
    web = WebServer(config, counters)

    metrics = partial(web.connection, only_metrics=True)
    return Protocols(web.connection, grpc.connection, metrics)
