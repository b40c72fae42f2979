"""The socket of a client's endpoint, with the options that limit its memory and its waits.

It refuses to know where the socket leads, and what is sent by it.
"""

from __future__ import annotations

from typing import Final

import zmq

from cluster.client.heartbeats import Heartbeats

REPLY_BYTES_MAX: Final = 1 << 30
RECEIVE_QUEUE_MESSAGES: Final = 0
"""ZeroMQ's 0: no limit. With a limit, libzmq would stop reading a full connection; if that then
breaks while a heartbeat is due, libzmq aborts the process. The node limits what it sends to a
client that does not read."""

RECONNECT_MS: Final = 20
RECONNECT_MS_MAX: Final = 500
NEVER: Final = -1
"""ZeroMQ's interval of a socket that does not reconnect."""

HANDSHAKE_MS: Final = 2_000


def dealer(
    context: zmq.Context[zmq.Socket[bytes]], heartbeats: Heartbeats, *, reconnects: bool
) -> zmq.Socket[bytes]:
    """A DEALER that is not connected yet."""
    socket = context.socket(zmq.DEALER)
    socket.linger = 0
    # Without IMMEDIATE, requests would queue for a dead node. When it starts again they would
    # reach it, long after the core has sent them to another node or given them up.
    socket.setsockopt(zmq.IMMEDIATE, 1)
    # OUTSTANDING_CALLS_MAX limits the requests; a limit here would lose some silently.
    socket.setsockopt(zmq.SNDHWM, 0)
    socket.setsockopt(zmq.RCVHWM, RECEIVE_QUEUE_MESSAGES)
    socket.setsockopt(zmq.MAXMSGSIZE, REPLY_BYTES_MAX)
    socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS if reconnects else NEVER)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MS_MAX)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    socket.setsockopt(zmq.HEARTBEAT_IVL, heartbeats.interval_ms)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, heartbeats.timeout_ms)
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    return socket
