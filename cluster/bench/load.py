"""The load: a fixed number of requests under way at any time, until all have been answered.

A slot is one request under way, with an id of its own, on one of the connections. When its reply
comes, the slot sends the next request, in a batch with other slots of its connection. Of a reply
only its id is read, and whether it is an error.
"""

from __future__ import annotations

import select
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from itertools import cycle
from struct import Struct
from typing import Final

import zmq

from cluster import wire
from cluster.bench.figures import Figures, figures_of
from cluster.bench.wires import Wires, decoded, send_all
from cluster.bench.workload import FIRST_ID, Workload, key_name, puts_of_all
from cluster.errors import ProtocolError, UnavailableError

STALL_MS: Final = 20_000
"""A run ends after this time without any reply: a node that died took its requests with it."""

_ID: Final = b"\xa2id\xce"
_HEADER: Final = b"\xa6header"
_READ_ID: Final = Struct(">I").unpack_from
_ID_OFFSET: Final = 1 + len(_ID)
_HEADER_OFFSET: Final = _ID_OFFSET + 4


def run(name: str, wires: Wires, workload: Workload, total: int, outstanding: int) -> Figures:
    """Send `total` requests, `outstanding` at a time, and measure each from its send to its reply.

    Errors in replies are counted and do not end the run; STALL_MS of silence do (UnavailableError).
    """
    assert total >= 1 and outstanding >= 1, "nothing to do"
    load = _Load(wires, workload.showing(wires.shown), total, min(outstanding, total))
    began = time.perf_counter()
    load.run()
    return figures_of(name, time.perf_counter() - began, load.latencies, load.errors)


def fill(wires: Wires, value_bytes: int, key_space: int, outstanding: int) -> None:
    """Put every key of the key space, unless all of them exist already."""
    keys = {"key": key_name(0), "range_end": key_name(key_space)}
    if wires.ask(op="range", count_only=True, **keys)["count"] < key_space:
        figures = run("fill", wires, puts_of_all(value_bytes, key_space), key_space, outstanding)
        if figures.errors:
            reason = next(iter(figures.errors))
            raise UnavailableError(f"could not put the keys to be read: {reason}")


class _Load:
    def __init__(self, wires: Wires, workload: Workload, total: int, slots: int) -> None:
        sockets = wires.sockets
        self.latencies: array[float] = array("d")
        self.errors: Counter[str] = Counter()
        self._sockets = sockets[:slots]
        self._heads = [workload.head(FIRST_ID + slot) for slot in range(slots)]
        self._bodies = cycle(workload.bodies)
        self._began_at = array("d", bytes(8 * slots))
        self._unsent = total
        self._unanswered = total

    def run(self) -> None:
        clock = time.perf_counter
        for first, socket in enumerate(self._sockets):
            self._send(socket, range(first, len(self._heads), len(self._sockets)))
        # Not zmq.Poller, which makes a system call for every socket at each look.
        by_descriptor = {int(each.getsockopt(zmq.FD)): each for each in self._sockets}
        poller = select.poll()
        for descriptor in by_descriptor:
            poller.register(descriptor, select.POLLIN)
        # A descriptor tells what came after its socket was found empty.
        for socket in self._sockets:
            self._drain(socket)
        heard_at = clock()
        while self._unanswered:
            unanswered = self._unanswered
            for descriptor, _ in poller.poll(STALL_MS):
                self._drain(by_descriptor[descriptor])
            # It also tells of connections that come and go.
            if self._unanswered < unanswered:
                heard_at = clock()
            elif clock() - heard_at >= STALL_MS / 1000:
                raise UnavailableError(
                    f"{self._unanswered:,} requests were not answered for {STALL_MS / 1000:g} s"
                )

    def _drain(self, socket: zmq.Socket[bytes]) -> None:
        """Take every reply that has arrived on a connection; each frees a slot for a request.

        To send may consume the signal of an arrival, so the connection is empty only after a look
        that found nothing.
        """
        while free := self._take(socket):
            self._unanswered -= len(free)
            self._send(socket, free[: self._unsent])

    def _take(self, socket: zmq.Socket[bytes]) -> list[int]:
        """Take what has arrived; the slots that were answered."""
        clock, receive, done = time.perf_counter, socket.recv, self.latencies.append
        began_at = self._began_at
        free: list[int] = []
        try:
            while True:
                frame = receive(zmq.NOBLOCK)
                now = clock()
                for reply in wire.frames_in(frame):
                    if reply.startswith(_HEADER, _HEADER_OFFSET) and reply.startswith(_ID, 1):
                        slot = _READ_ID(reply, _ID_OFFSET)[0] - FIRST_ID
                        done(now - began_at[slot])
                    else:
                        slot = self._refused(reply)
                    free.append(slot)
        except zmq.Again:
            return free

    def _send(self, socket: zmq.Socket[bytes], slots: Sequence[int]) -> None:
        """Send a request of each of these slots, in batches."""
        self._unsent -= len(slots)
        now = time.perf_counter()
        requests = []
        for slot in slots:
            self._began_at[slot] = now
            requests.append(self._heads[slot] + next(self._bodies))
        send_all(socket, requests)

    def _refused(self, reply: bytes) -> int:
        """Count an error by its text, and return its slot."""
        answer = decoded(reply)
        error = answer.get("error")
        if not isinstance(error, dict) or not isinstance(answer.get("id"), int):
            raise ProtocolError("a reply that is neither an error nor has a header at its head")
        self.errors[str(error.get("message"))] += 1
        return int(answer["id"]) - FIRST_ID
