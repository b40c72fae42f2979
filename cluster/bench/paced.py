"""A load at a given rate: so many requests a second for a given time, if the cluster keeps up.

A request is sent when its time has come and one of the slots is free, as many slots as clients.
What could not be sent in time is not made up for, so that the load never goes over its rate. Each
request is measured from its send to its reply.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Callable
from itertools import cycle
from math import ceil
from typing import Final

import zmq

from cluster import wire
from cluster.bench.figures import Figures, figures_of
from cluster.bench.load import STALL_MS
from cluster.bench.wires import Wires, decoded, send_all
from cluster.bench.workload import FIRST_ID, Workload
from cluster.errors import UnavailableError

CATCH_UP_SECONDS: Final = 0.01
"""A generator that wakes up late may send what was due in this time at once."""


def run(
    name: str,
    wires: Wires,
    workload: Workload,
    per_second: float,
    clients: int,
    seconds: float,
    on_second: Callable[[int], None] = lambda second: None,
) -> Figures:
    """Send for `seconds`, wait for the last replies, and measure; `on_second` hears the time."""
    load = _PacedLoad(wires, workload.showing(wires.shown), per_second, clients, seconds, on_second)
    began = time.perf_counter()
    load.run()
    return figures_of(name, time.perf_counter() - began, load.latencies, load.errors)


class _PacedLoad:
    def __init__(
        self,
        wires: Wires,
        workload: Workload,
        per_second: float,
        clients: int,
        seconds: float,
        on_second: Callable[[int], None],
    ) -> None:
        self.latencies: array[float] = array("d")
        self.errors: Counter[str] = Counter()
        self._sockets = wires.sockets
        self._heads = [workload.head(FIRST_ID + slot) for slot in range(clients)]
        self._bodies = cycle(workload.bodies)
        self._began_at = array("d", bytes(8 * clients))
        self._free = list(range(clients))
        self._interval = 1 / per_second
        self._seconds = seconds
        self._on_second = on_second

    def run(self) -> None:
        poller = zmq.Poller()
        for socket in self._sockets:
            poller.register(socket, zmq.POLLIN)
        began = now = due = heard = time.perf_counter()
        end = began + self._seconds
        second = 0
        while now < end or len(self._free) < len(self._heads):
            if now < end:
                due = self._send_due(max(due, now - CATCH_UP_SECONDS), now)
            ready = poller.poll(self._wait_ms(due if now < end else now + 1, now))
            for socket, _ in ready:
                self._drain(socket)
            now = time.perf_counter()
            if ready or len(self._free) == len(self._heads):
                heard = now
            elif now > heard + STALL_MS / 1000:
                raise UnavailableError(f"no request was answered for {STALL_MS / 1000:g} s")
            if now - began >= second + 1:
                second = int(now - began)
                self._on_second(second)

    def _wait_ms(self, due: float, now: float) -> int:
        """How long to wait for replies: until the next request is due, a second at most."""
        seconds = due - now if self._free else 1.0
        return ceil(1000 * min(1.0, max(0.0, seconds)))

    def _send_due(self, due: float, now: float) -> float:
        """Send what is due, as far as slots are free; when the next request is due."""
        requests: dict[zmq.Socket[bytes], list[bytes]] = {}
        while due <= now and self._free:
            slot = self._free.pop()
            self._began_at[slot] = time.perf_counter()
            socket = self._sockets[slot % len(self._sockets)]
            requests.setdefault(socket, []).append(self._heads[slot] + next(self._bodies))
            due += self._interval
        for socket, together in requests.items():
            send_all(socket, together)
        return due

    def _drain(self, socket: zmq.Socket[bytes]) -> None:
        """Take every reply that has arrived on a connection; each frees its slot."""
        try:
            while True:
                for reply in map(decoded, wire.frames_in(socket.recv(zmq.NOBLOCK))):
                    slot = int(reply["id"]) - FIRST_ID
                    if "error" in reply:
                        self.errors[str(reply["error"]["message"])] += 1
                    else:
                        self.latencies.append(time.perf_counter() - self._began_at[slot])
                    self._free.append(slot)
        except zmq.Again:
            pass
