"""A real node of this project, asked through a bare DEALER socket as PROTOCOL.md says.

Not through the client library: what is judged here is the protocol. Owns the process, its data and
the sockets. What our replies have and etcd's have not is taken away here, after a look at it.
"""

from __future__ import annotations

import shutil
import tempfile
from itertools import count
from pathlib import Path
from typing import Any, Final

import msgpack
import zmq

from cluster.launcher.local import LocalCluster
from cluster.launcher.nodes.layout import LauncherError
from tests.differential.language import Fields
from tests.differential.sides import (
    ANSWER_SECONDS,
    SideDiedError,
    memory_directory,
    without_zeros,
)

FLAGS: Final = ("--min-lease-ttl=2", "--log-level=error", "--bcrypt-cost=4")
"""Etcd's default is one and a half of its election timeouts, in whole seconds. Passwords cost as
little as they may: what is slow on purpose proves nothing here."""

REASONS: Final = {"deleted", "lease expired", "lease revoked"}
HEADER: Final = {"cluster_id", "member_id", "revision", "raft_term"}
OURS: Final = {"remaining_ms", "reason", "unknown"}
"""Fields that etcd does not have."""


class Leasehold:
    """One node on free ports, in memory; `send` and `receive` one request at a time."""

    name = "leasehold"

    def __init__(self, front: bool = False) -> None:
        self._data = Path(tempfile.mkdtemp(prefix="leasehold-", dir=memory_directory()))
        self._cluster = LocalCluster(1, self._data / "cluster", node_flags=FLAGS, front=front)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self._cluster.__enter__()
            self._socket = self._connect()
        except BaseException as error:
            shutil.rmtree(self._data, ignore_errors=True)
            if isinstance(error, LauncherError):
                raise SideDiedError(str(error)) from None
            raise
        self._numbers = count(1)
        self._asked = 0

    def send(self, name: str, fields: Fields) -> None:
        """Ask for one operation of PROTOCOL.md."""
        self._asked = next(self._numbers)
        self._socket.send(msgpack.packb({"op": name, "id": self._asked, **fields}))

    def receive(self) -> Fields:
        """The answer to the last request."""
        if not self._socket.poll(int(ANSWER_SECONDS * 1000)):
            raise self._dead("no answer")
        reply = msgpack.unpackb(self._socket.recv())
        assert reply.pop("id") == self._asked, f"an answer to another request: {reply}"
        return common(reply)

    @property
    def address(self) -> str:
        """Where its clients find it: host:port."""
        (node,) = self._cluster.nodes.values()
        return node.endpoint

    def open_stream(self) -> LeaseholdStream:
        """A new DEALER, for watches."""
        return LeaseholdStream(self._connect())

    def stop(self) -> None:
        """End the node and forget its data."""
        self._context.destroy(linger=0)
        self._cluster.close()
        shutil.rmtree(self._data, ignore_errors=True)

    def _connect(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        socket.connect(f"tcp://{self._cluster.endpoints[0]}")
        return socket

    def _dead(self, reason: str) -> SideDiedError:
        self._cluster.reap()
        (node,) = self._cluster.nodes.values()
        ending = "" if node.running else self._cluster.failure_of(node)
        return SideDiedError(f"leasehold died: {reason}\n{ending}")


class LeaseholdStream:
    """A DEALER of watches."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._asked: set[int] = set()

    def send(self, name: str, fields: Fields) -> None:
        """Ask for watch_create, watch_cancel or watch_progress."""
        number = next(self._numbers)
        self._asked.add(number)
        self._socket.send(msgpack.packb({"op": name, "id": number, **fields}))

    def receive(self, timeout_seconds: float) -> list[Fields]:
        """The messages that have come, waited for if there are none."""
        messages = []
        if self._socket.poll(int(timeout_seconds * 1000)):
            while self._socket.poll(0):
                message = msgpack.unpackb(self._socket.recv())
                if self._is_bookmark(message):
                    continue
                messages.append(common(message))
        return messages

    def close(self) -> None:
        """End the connection and its watches."""
        self._socket.close(linger=0)

    def _is_bookmark(self, message: Fields) -> bool:
        """Whether it came by itself, once a minute, and says only that the node is there."""
        number = message.pop("id", None)
        if number is not None:
            self._asked.remove(number)
            return False
        return bool(message["watch_id"] == -1 and not message.get("events"))


def common(reply: Fields) -> Fields:
    """A reply in the common form."""
    if "error" in reply:
        fault = reply["error"]
        return {"error": {"code": fault["code"], "message": fault["message"]}}
    assert HEADER.issuperset(reply["header"]), f"a header of its own kind: {reply}"
    fields: Fields = without_zeros(_like_etcd(reply))
    return fields


def _like_etcd(value: Any) -> Any:
    if isinstance(value, list):
        return [_like_etcd(item) for item in value]
    if not isinstance(value, dict):
        return value
    fields = {name: _like_etcd(item) for name, item in value.items() if name not in OURS}
    if value.get("type") == "PUT":
        del fields["type"]  # etcd's zero
    elif value.get("type") == "DELETE":
        assert value["reason"] in REASONS, f"no reason for a delete: {value}"
    return fields
