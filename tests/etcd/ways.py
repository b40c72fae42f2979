"""The ways to ask a node for one thing at a time, and how long each takes.

A way is a connection that sends a request and waits for its answer, with as little work of its own
as Python allows. Refuses to know what is measured by it.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import zmq

from cluster.etcd.grpc.messages import framed
from cluster.etcd.http2 import encode_block, frames
from cluster.etcd.rpc.schema import RPCS, Rpc
from cluster.wire import pack
from tests.limits import HANG_MS, HANG_SECONDS

Ask = Callable[[], None]
"""Ask once, and wait for the answer."""

WIDEST: Final = 0x7FFF_FFFF
PROBE: Final = b"\2\4\x10\x10\t\x0e\7\7"
"""The PING by which grpc-go measures the connection."""

RELAY: Final = """
import select, socket, sys
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
near, _ = listening.accept()
far = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
others, poller = {near.fileno(): (near, far), far.fileno(): (far, near)}, select.poll()
for each in (near, far):
    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    poller.register(each, select.POLLIN)
while True:
    for number, _ in poller.poll():
        source, target = others[number]
        data = source.recv(65536)
        if not data:
            sys.exit()
        target.sendall(data)
"""
"""A process in between that only reads and writes, for one connection."""


def took_us(ask: Ask) -> float:
    """How long one answer takes."""
    began = time.perf_counter()
    ask()
    return (time.perf_counter() - began) * 1e6


@contextmanager
def native(port: int, request: dict[str, Any]) -> Iterator[Ask]:
    """A REQ client."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    client = context.socket(zmq.REQ)
    client.linger = 0
    client.rcvtimeo = HANG_MS
    client.connect(f"tcp://127.0.0.1:{port}")
    packed = pack(request)

    def ask() -> None:
        client.send(packed)
        client.recv()

    try:
        yield ask
    finally:
        context.destroy(linger=0)


@contextmanager
def relayed(port: int, request: dict[str, Any]) -> Iterator[Ask]:
    """A REQ client behind the bare relay: what any process in between costs at least."""
    command = [sys.executable, "-c", RELAY, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as relay, ExitStack() as stack:
        stack.callback(relay.kill)
        assert relay.stdout is not None
        yield stack.enter_context(native(int(relay.stdout.readline()), request))


@contextmanager
def grpc(port: int, request: dict[str, Any]) -> Iterator[Ask]:
    """A client of HTTP/2 that says what grpc-go says: it measures beside each request."""
    rpc = next(rpc for rpc in RPCS.values() if rpc.op == request["op"])
    fields = {name: value for name, value in request.items() if name != "op"}
    message = framed(rpc.request(**fields).SerializeToString())
    block = _block(rpc)
    probe = frames.window_update(0, 32) + frames.ping(PROBE)
    with socket.create_connection(("127.0.0.1", port), HANG_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        more = WIDEST - 2**24  # room for what the probes add
        connection.sendall(frames.PREFACE + frames.settings({}) + frames.window_update(0, more))
        connection.sendall(frames.SETTINGS_ACK)
        number = 1

        def ask() -> None:
            nonlocal number
            head = frames.frame(frames.HEADERS, frames.END_HEADERS, number, block)
            body = frames.frame(frames.DATA, frames.END_STREAM, number, message)
            connection.sendall(probe + head + body)
            end = bytes((frames.HEADERS, frames.END_HEADERS | frames.END_STREAM))
            end += number.to_bytes(4, "big")
            came = b""
            while end not in came:
                came += connection.recv(65_536)
            number += 2

        yield ask


def _block(rpc: Rpc) -> bytes:
    fields = ((b":method", b"POST"), (b":scheme", b"http"), (b":path", rpc.path))
    more = ((b":authority", b"etcd"), (b"content-type", b"application/grpc"), (b"te", b"trailers"))
    return encode_block((*fields, *more))
