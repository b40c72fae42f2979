"""The test's end of the control: what is wrong with each node, and what took effect there.

Faults come in layers, so that several may befall one node at a time: each is imposed under a token
and lifted by it. Every node that starts, also again, is told the present state first of all.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from cluster.link_plan import LinkFault, LinkPlan
from tests.chaos.plans import LINE_BYTES_MAX, DiskFault
from tests.limits import HANG_SECONDS

READ_BYTES: Final = 64 * 1024
Token = object


class Effect(NamedTuple):
    """A fault of this kind took effect on a node, seen at this monotonic time."""

    at: float
    name: str
    kind: str


class Layer(NamedTuple):
    """One fault's part in what is wrong with a node; links by member id, 0 for all."""

    disk: DiskFault = DiskFault()
    outgoing: Mapping[int, LinkFault] = {}
    incoming: Mapping[int, LinkFault] = {}


class _Connection:
    """One incarnation of a node."""

    def __init__(self, socket: socket.socket) -> None:
        self.socket = socket
        self.name = ""
        self.buffer = b""
        self.applied = 0


class FaultServer:
    """Listens at `path` (a Unix socket: a short path); a thread of its own reads the reports."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.effects: list[Effect] = []
        self._layers: dict[str, dict[Token, Layer]] = {}
        self._numbers: dict[str, int] = {}
        self._nodes: dict[str, _Connection] = {}
        self._changed = threading.Condition(threading.RLock())
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._waker, self._wake = socket.socketpair()
        self._selector.register(self._waker, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="fault server", daemon=True)
        self._thread.start()

    @property
    def node_command(self) -> tuple[str, ...]:
        """The program of a node under this control."""
        return (sys.executable, "-P", "-m", "tests.chaos.node", str(self.path))

    def impose(self, name: str, token: Token, layer: Layer) -> None:
        """Let this befall a node, now and each time it starts, until `lift`."""
        with self._changed:
            self._layers.setdefault(name, {})[token] = layer
            self._tell(name)

    def lift(self, token: Token) -> None:
        """End what was imposed under this token."""
        with self._changed:
            for name, layers in self._layers.items():
                if layers.pop(token, None) is not None:
                    self._tell(name)

    def wait_until_applied(self, name: str, seconds: float = HANG_SECONDS) -> bool:
        """Whether a node is up and lives under the present plan, waited for so long."""

        def applied() -> bool:
            node = self._nodes.get(name)
            return node is not None and node.applied == self._number_of(name)

        with self._changed:
            return self._changed.wait_for(applied, seconds)

    def took_effect(self, name: str, kind: str, since: float) -> bool:
        """Whether a fault whose kind begins so took effect on a node since then."""
        with self._changed:
            return any(
                effect.name == name and effect.kind.startswith(kind) and effect.at >= since
                for effect in reversed(self.effects)
            )

    def wait_for_effect(self, name: str, kind: str, since: float, seconds: float) -> bool:
        """The same, waited for so long."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self.took_effect(name, kind, since):
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    return self.took_effect(name, kind, since)
        return True

    def close(self) -> None:
        """Let go of the nodes; those that run are in order from then on."""
        self._wake.close()
        self._thread.join()
        for node in self._nodes.values():
            node.socket.close()
        self._listener.close()
        self._waker.close()
        self._selector.close()
        self.path.unlink(missing_ok=True)

    # --- with the lock held ---

    def _number_of(self, name: str) -> int:
        return self._numbers.get(name, 1)

    def _tell(self, name: str) -> None:
        self._numbers[name] = self._number_of(name) + 1
        node = self._nodes.get(name)
        if node is not None:
            self._send(node)

    def _send(self, node: _Connection) -> None:
        plan = plan_document(self._layers.get(node.name, {}).values())
        plan["number"] = self._number_of(node.name)
        line = json.dumps(plan).encode() + b"\n"
        assert len(line) <= LINE_BYTES_MAX
        with suppress(OSError):  # it has just died
            node.socket.sendall(line)

    # --- the thread ---

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._waker:
                    return
                if key.fileobj is self._listener:
                    accepted, _ = self._listener.accept()
                    self._selector.register(accepted, selectors.EVENT_READ, _Connection(accepted))
                else:
                    self._read(key.data)

    def _read(self, node: _Connection) -> None:
        try:
            data = node.socket.recv(READ_BYTES)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(node.socket)
            node.socket.close()
            with self._changed:
                if self._nodes.get(node.name) is node:
                    del self._nodes[node.name]
            return
        *lines, node.buffer = (node.buffer + data).split(b"\n")
        with self._changed:
            for line in lines:
                self._hear(node, json.loads(line))
            self._changed.notify_all()

    def _hear(self, node: _Connection, report: dict[str, Any]) -> None:
        if "hello" in report:
            node.name = report["hello"]
            self._nodes[node.name] = node
            self._send(node)
        elif "effect" in report:
            self.effects.append(Effect(time.monotonic(), node.name, report["effect"]))
        else:
            node.applied = report["plan"]


def plan_document(layers: Iterable[Layer]) -> dict[str, Any]:
    """The JSON of several faults together."""
    disk, outgoing, incoming = DiskFault(), dict[int, LinkFault](), dict[int, LinkFault]()
    for layer in layers:
        disk = DiskFault(*map(_worse, disk, layer.disk))
        for links, more in ((outgoing, layer.outgoing), (incoming, layer.incoming)):
            for member_id, fault in more.items():
                links[member_id] = LinkFault(*map(_worse, links.get(member_id, fault), fault))
    return {"disk": disk._asdict(), "links": LinkPlan(outgoing, incoming).document()}


def _worse(one: Any, other: Any) -> Any:
    """Of two values of a field the one that does more harm."""
    return max(one, other)
