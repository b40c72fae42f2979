"""A stand-in for a node: a real clients' door in a thread, whose answers a test decides."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import zmq

from cluster.door import ClientDoor, Route
from cluster.etcd.link.connection import NodeAddress
from cluster.visitors import Gone
from cluster.wire import pack, unpack

CLUSTER_ID, MEMBER_ID = 2**63 + 1, 2**62 + 3
HEADER = {"cluster_id": CLUSTER_ID, "member_id": MEMBER_ID, "revision": 7, "raft_term": 2}
REQUEST_BYTES_MAX = 1_000_000
POLL_MS = 20

Answer = Callable[["StandIn", Route, dict[str, Any]], None]


class StandIn:
    """The door and what came through it; `answer` is called in the door's thread."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], answer: Answer) -> None:
        urls = ("tcp://127.0.0.1:*",)
        self.door = ClientDoor(context, urls, _now_ms, REQUEST_BYTES_MAX)
        self.port = int(self.door.endpoint.rpartition(":")[2])
        self.requests: list[dict[str, Any]] = []
        self.routes: set[Route] = set()
        self.gone: list[Gone] = []
        self.is_deaf = False
        self._answer = answer
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def address(self) -> NodeAddress:
        return NodeAddress("127.0.0.1", self.port, CLUSTER_ID, MEMBER_ID, 64 * 1024 * 1024)

    def reply(self, route: Route, request: dict[str, Any], **fields: Any) -> None:
        """Answer a request; in the door's thread only."""
        frame = pack({"id": request.get("id"), "header": HEADER, **fields})
        while self.door.send(route, frame) is False:
            self.door.look()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self.door.close()

    def _serve(self) -> None:
        poller = select.poll()
        for descriptor in self.door.descriptors():
            poller.register(descriptor, select.POLLIN)
        while not self._stopping.is_set():
            poller.poll(0 if self.door.must_drain() else POLL_MS)
            self.gone += [news for news in self.door.look() if isinstance(news, Gone)]
            for route, payload in () if self.is_deaf else self.door.drain(100):
                request = unpack(payload)
                self.routes.add(route)
                if "id" in request:
                    self.requests.append(request)
                    self._answer(self, route, request)
                else:
                    self.reply(route, {})  # who are you?


@contextmanager
def stand_in(answer: Answer) -> Iterator[StandIn]:
    """A stand-in on a port of its own."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    node = StandIn(context, answer)
    try:
        yield node
    finally:
        node.stop()
        context.destroy(linger=0)


def echo(node: StandIn, route: Route, request: dict[str, Any]) -> None:
    """Answer each request with its key."""
    node.reply(route, request, key=request.get("key"))


def silent(node: StandIn, route: Route, request: dict[str, Any]) -> None:
    """Answer nothing but who it is."""


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
