"""A client with bare sockets that writes often enough to measure when nobody is served.

No session, no retries: what it measures is the cluster alone.
"""

from __future__ import annotations

import time
from typing import Final

import zmq

from cluster.wire import pack, unpack
from tests.chaos.history import History, padded
from tests.chaos.worker import Members, Worker
from tests.linearizability import Operation, Outcome

PROBE_SECONDS: Final = 0.004
PROBE_POLL_MS: Final = 1
PROBE_KEYS: Final = 50
RECONNECT_MS: Final = 10


class Probe(Worker):
    """Writes through all nodes in turn with bare sockets, whatever is unanswered."""

    def __init__(self, name: str, members: Members, history: History, seed: str) -> None:
        super().__init__(name, members, history, seed)
        self.acknowledged_at: list[float] = []
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        self._order: list[zmq.Socket[bytes]] = []
        self._poller = zmq.Poller()
        self._waiting: dict[str, Operation] = {}
        self._send_at = 0.0
        self._token: dict[str, str] = {}

    def work(self) -> None:
        if self._generation != self.members.generation:
            self._connect()
        for socket, _ in self._poller.poll(PROBE_POLL_MS):
            self._take(socket)
        if time.monotonic() >= self._send_at:
            self._send_at = time.monotonic() + PROBE_SECONDS
            self._send()

    def close(self) -> None:
        for operation in self._waiting.values():
            self.history.add(operation)
        self._context.destroy(linger=0)

    def _connect(self) -> None:
        self._generation = self.members.generation
        members = self.members
        # A key stands for its user.
        token = None if members.sealed else members.entry.token(members.endpoints)
        self._token = {} if token is None else {"token": token}
        wanted = set(members.sealed or members.endpoints)
        for endpoint in self._sockets.keys() - wanted:
            socket = self._sockets.pop(endpoint)
            self._poller.unregister(socket)
            socket.close()
        for endpoint in wanted - self._sockets.keys():
            socket = self._context.socket(zmq.DEALER)
            socket.linger = 0
            socket.setsockopt(zmq.IMMEDIATE, 1)
            socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
            members.entry.connect(socket, endpoint)
            self._poller.register(socket, zmq.POLLIN)
            self._sockets[endpoint] = socket
        self._order = list(self._sockets.values())

    def _send(self) -> None:
        """Send one write to the next node that can be reached."""
        number = next(self._counter)
        name = f"{self.name}.{number}"
        key = f"{self.name}/{number % PROBE_KEYS}"
        put = {"id": name, "op": "put", "key": key, "value": padded(name, 0)}
        request = pack({**put, **self._token})
        for _ in range(len(self._order)):
            self._order.append(self._order.pop(0))
            intent = self.intent("put", key, value=name)._replace(began=time.monotonic())
            try:
                self._order[-1].send(request, zmq.NOBLOCK)
            except zmq.Again:
                continue  # nobody is connected there just now
            self._waiting[name] = intent
            return

    def _take(self, socket: zmq.Socket[bytes]) -> None:
        try:
            reply = unpack(socket.recv(zmq.NOBLOCK))
        except zmq.Again:
            return  # its connection has broken since: what had arrived by it is gone (IMMEDIATE)
        ended = time.monotonic()
        operation = self._waiting.pop(reply["id"])
        error = reply.get("error")
        if error is None:
            self.acknowledged_at.append(ended)
            revision = reply["header"]["revision"]
            operation = operation._replace(ended=ended, outcome=Outcome.OK, revision=revision)
        elif not error.get("unknown", False):
            operation = operation._replace(ended=ended, outcome=Outcome.FAILED)
        self.history.add(operation)
