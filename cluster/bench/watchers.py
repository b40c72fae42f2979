"""Watches under load: keys under a prefix are put, and every watcher of the prefix gets each event.

Measures the events delivered per second, and the time from the start of a put to the arrival of
its event at one of the watchers. Of most event replies only the number of events is read.
"""

from __future__ import annotations

import struct
import time
from array import array
from collections.abc import Callable
from random import Random
from typing import Any, Final, NamedTuple

import zmq

from cluster import wire
from cluster.bench.figures import Figures, figures_of
from cluster.bench.wires import Wires, decoded
from cluster.bench.workload import FIRST_ID
from cluster.errors import ProtocolError, UnavailableError

STALL_MS: Final = 20_000
"""A run ends after this time without any reply or event."""

WATCH_PREFIX: Final = b"bench-watch-"
WATCH_KEYS: Final = 1_000
SAMPLED_ID: Final = 1
"""The watch whose events are decoded for their latency."""

_EVENTS: Final = wire.pack("events")
_WATCH_ID: Final = b"\x83" + wire.pack("watch_id")
_STAMP: Final = struct.Struct(">d")


class WatchFigures(NamedTuple):
    """The results of a watch load: the figures of the puts, and of the events of all watchers."""

    puts: Figures
    events: int
    seconds: float
    latency: Figures

    @property
    def rate(self) -> float:
        """Events delivered per second."""
        return self.events / self.seconds if self.seconds > 0 else 0.0

    def line(self) -> str:
        """A line for the puts, and a line for the events."""
        events = (
            f"events: {self.rate:,.0f}/s   p50 {self.latency.percentile(50):.2f} ms"
            f"   p99 {self.latency.percentile(99):.2f} ms   ({self.events:,} in"
            f" {self.seconds:.2f} s)"
        )
        return f"{self.puts.line()}\n{events}"

    def as_map(self) -> dict[str, Any]:
        """The figures as a map, for JSON."""
        latency = self.latency.as_map()["latency_ms"]
        events = {"delivered": self.events, "seconds": self.seconds, "rate": self.rate}
        return {"puts": self.puts.as_map(), "events": {**events, "latency_ms": latency}}


def run(
    watching: Wires, putting: Wires, watchers: int, total: int, outstanding: int, value_bytes: int
) -> WatchFigures:
    """`total` puts, `outstanding` at a time, each seen by `watchers` watches of one prefix."""
    load = _WatchLoad(watching, putting, watchers, total, value_bytes)
    began = time.perf_counter()
    load.run(min(outstanding, total))
    seconds = time.perf_counter() - began
    puts = figures_of("watched put", load.puts_seconds, load.put_latencies, {})
    latency = figures_of("event", seconds, load.event_latencies, {})
    return WatchFigures(puts, load.events, seconds, latency)


class _WatchLoad:
    def __init__(
        self, watching: Wires, putting: Wires, watchers: int, total: int, value_bytes: int
    ) -> None:
        self.put_latencies: array[float] = array("d")
        self.event_latencies: array[float] = array("d")
        self.puts_seconds = 0.0
        self.events = 0
        self._watching = watching.sockets
        self._putting = putting.sockets
        self._events_wanted = total * watchers
        self._total = total
        self._unsent = total
        self._began_at: list[float] = []
        self._padding = b"x" * max(0, value_bytes - _STAMP.size)
        self._random = Random(0)
        for number in range(watchers):
            _open(self._watching[number % len(self._watching)], SAMPLED_ID + number)

    def run(self, slots: int) -> None:
        began = time.perf_counter()
        self._began_at = [0.0] * slots
        for slot in range(slots):
            self._put(slot)
        poller = zmq.Poller()
        for socket in (*self._putting, *self._watching):
            poller.register(socket, zmq.POLLIN)
        putting = set(self._putting)
        while len(self.put_latencies) < self._total or self.events < self._events_wanted:
            ready = poller.poll(STALL_MS)
            if not ready:
                raise UnavailableError(
                    f"{self.events:,} of {self._events_wanted:,} events had been delivered when"
                    f" nothing came for {STALL_MS / 1000:g} s"
                )
            for socket, _ in ready:
                _drain(socket, self._answered if socket in putting else self._delivered)
            if not self.puts_seconds and len(self.put_latencies) == self._total:
                self.puts_seconds = time.perf_counter() - began

    def _put(self, slot: int) -> None:
        self._unsent -= 1
        now = self._began_at[slot] = time.perf_counter()
        request = {
            "id": slot,
            "op": "put",
            "key": WATCH_PREFIX + b"%d" % self._random.randrange(WATCH_KEYS),
            "value": _STAMP.pack(now) + self._padding,
        }
        self._putting[slot % len(self._putting)].send(wire.pack(request), zmq.NOBLOCK)

    def _answered(self, frame: bytes) -> None:
        reply = decoded(frame)
        if "error" in reply:
            raise UnavailableError(f"a put failed: {reply['error']['message']}")
        slot: int = reply["id"]
        self.put_latencies.append(time.perf_counter() - self._began_at[slot])
        if self._unsent:
            self._put(slot)

    def _delivered(self, frame: bytes) -> None:
        if not frame.startswith(_WATCH_ID):
            raise ProtocolError(f"a watch ended: {decoded(frame).get('cancel_reason')}")
        self.events += _event_count(frame)
        if frame[len(_WATCH_ID)] == SAMPLED_ID:
            now = time.perf_counter()
            for event in decoded(frame)["events"]:
                self.event_latencies.append(now - _STAMP.unpack_from(event["kv"]["value"])[0])


def _open(socket: zmq.Socket[bytes], watch_id: int) -> None:
    request = {
        "id": FIRST_ID,
        "op": "watch_create",
        "key": WATCH_PREFIX,
        "range_end": WATCH_PREFIX[:-1] + bytes((WATCH_PREFIX[-1] + 1,)),
        "watch_id": watch_id,
    }
    socket.send(wire.pack(request))
    if not socket.poll(STALL_MS) or not decoded(socket.recv()).get("created"):
        raise UnavailableError("a watch was not accepted")


def _event_count(frame: bytes) -> int:
    """The number of events of a reply: the length of the array after the name `events`."""
    at = frame.index(_EVENTS) + len(_EVENTS)
    head = frame[at]
    if head & 0xF0 == 0x90:
        return head & 0x0F
    size = {0xDC: 2, 0xDD: 4}[head]
    return int.from_bytes(frame[at + 1 : at + 1 + size], "big")


def _drain(socket: zmq.Socket[bytes], take: Callable[[bytes], None]) -> None:
    try:
        while True:
            take(socket.recv(zmq.NOBLOCK))
    except zmq.Again:
        pass
