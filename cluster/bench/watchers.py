"""Watches under load: keys under a prefix are put, and the watches of a key get each event.

Measures the events delivered per second, and the time from the start of a put to the arrival of
its event at one of the watchers. Of most event replies only the number of events is read. Watches
and puts may be in different processes of one machine: they share its monotonic clock.
"""

from __future__ import annotations

import struct
import time
from array import array
from collections.abc import Sequence
from random import Random
from typing import Any, Final, NamedTuple, Protocol

import zmq

from cluster import wire
from cluster.bench.figures import Figures, figures_of
from cluster.bench.wires import Wires, decoded, send_all
from cluster.bench.workload import FIRST_ID
from cluster.errors import ProtocolError, UnavailableError

STALL_MS: Final = 20_000
"""A run ends after this time without any reply or event."""

WATCH_PREFIX: Final = b"bench-watch-"
WATCH_PREFIX_END: Final = WATCH_PREFIX[:-1] + bytes((WATCH_PREFIX[-1] + 1,))
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
    watches = prefix_watches(watching, watchers, total)
    puts = StampedPuts(putting, WATCH_KEYS, total, outstanding, value_bytes)
    seconds = exchange(puts, watches)
    latency = figures_of("event", seconds, watches.latencies, {})
    return WatchFigures(puts.figures(), watches.events, seconds, latency)


class Part(Protocol):
    """One side of the load: what it does first, what it does with a frame, and when it is done."""

    @property
    def sockets(self) -> Sequence[zmq.Socket[bytes]]:
        """Where its frames come from."""

    @property
    def progress(self) -> str:
        """How far it has got, in words."""

    @property
    def is_done(self) -> bool:
        """Whether it waits for nothing more."""

    def begin(self) -> None:
        """Send what the load begins with."""

    def take(self, reply: bytes) -> None:
        """Handle a reply or an event that has arrived."""

    def go_on(self) -> None:
        """Send what follows from what was taken: nothing more has arrived just now."""


def exchange(*parts: Part) -> float:
    """Begin, and take frames until every part is done; the seconds it took."""
    began = time.monotonic()
    poller = zmq.Poller()
    owners = {socket: part for part in parts for socket in part.sockets}
    for socket in owners:
        poller.register(socket, zmq.POLLIN)
    for part in parts:
        part.begin()
    while not all(part.is_done for part in parts):
        ready = poller.poll(STALL_MS)
        if not ready:
            progress = " and ".join(part.progress for part in parts)
            raise UnavailableError(f"{progress}, when nothing came for {STALL_MS / 1000:g} s")
        for socket, _ in ready:
            take = owners[socket].take
            try:
                while True:
                    for reply in wire.frames_in(socket.recv(zmq.NOBLOCK)):
                        take(reply)
            except zmq.Again:
                owners[socket].go_on()
    return time.monotonic() - began


class StampedPuts:
    """Puts `total` stamped values at random keys, `outstanding` at a time."""

    def __init__(
        self, wires: Wires, keys: int, total: int, outstanding: int, value_bytes: int
    ) -> None:
        self.sockets = wires.sockets
        self._shown = wires.shown
        self.latencies: array[float] = array("d")
        self.seconds = 0.0
        self._keys = keys
        self._total = total
        self._unsent = total
        self._slots = min(outstanding, total)
        self._began = 0.0
        self._began_at = [0.0] * self._slots
        self._padding = b"x" * max(0, value_bytes - _STAMP.size)
        self._random = Random(0)
        # What is to be sent, of each connection.
        self._requests: dict[zmq.Socket[bytes], list[bytes]] = {}

    @property
    def is_done(self) -> bool:
        """Whether every put is answered."""
        return len(self.latencies) == self._total

    @property
    def progress(self) -> str:
        """As in a complaint."""
        return f"{len(self.latencies):,} of {self._total:,} puts had been answered"

    def begin(self) -> None:
        """Send the first puts."""
        self._began = time.monotonic()
        for slot in range(self._slots):
            self._put(slot)
        self.go_on()

    def go_on(self) -> None:
        """Send the puts that have gathered."""
        for socket, requests in self._requests.items():
            send_all(socket, requests)
        self._requests.clear()

    def take(self, reply: bytes) -> None:
        """A put is answered: prepare the next one."""
        answer = decoded(reply)
        if "error" in answer:
            raise UnavailableError(f"a put failed: {answer['error']['message']}")
        slot: int = answer["id"]
        now = time.monotonic()
        self.latencies.append(now - self._began_at[slot])
        self.seconds = now - self._began
        if self._unsent:
            self._put(slot)

    def figures(self) -> Figures:
        """The figures of the puts alone."""
        return figures_of("watched put", self.seconds, self.latencies, {})

    def _put(self, slot: int) -> None:
        self._unsent -= 1
        now = self._began_at[slot] = time.monotonic()
        request = {
            "id": slot,
            "op": "put",
            "key": WATCH_PREFIX + b"%d" % self._random.randrange(self._keys),
            "value": _STAMP.pack(now) + self._padding,
            **self._shown,
        }
        socket = self.sockets[slot % len(self.sockets)]
        self._requests.setdefault(socket, []).append(wire.pack(request))


class WatchedKeys:
    """Watches these intervals (key, range_end), and takes events until `wanted` have come."""

    def __init__(self, wires: Wires, intervals: Sequence[tuple[bytes, bytes]], wanted: int) -> None:
        self.sockets = wires.sockets
        self.latencies: array[float] = array("d")
        self.events = 0
        self._wanted = wanted
        for number, socket in enumerate(self.sockets):
            step = len(self.sockets)
            _open(socket, intervals[number::step], SAMPLED_ID + number, step, wires.shown)

    @property
    def is_done(self) -> bool:
        """Whether all events have come."""
        return self.events >= self._wanted

    @property
    def progress(self) -> str:
        """As in a complaint."""
        return f"{self.events:,} of {self._wanted:,} events had been delivered"

    def begin(self) -> None:
        """Nothing: the watches are open."""

    def go_on(self) -> None:
        """Nothing: a watch asks for nothing more."""

    def take(self, reply: bytes) -> None:
        """Count the events of a reply."""
        if not reply.startswith(_WATCH_ID):
            _must_be_bookmark(decoded(reply))
            return
        self.events += _event_count(reply)
        if reply[len(_WATCH_ID)] == SAMPLED_ID:
            now = time.monotonic()
            for event in decoded(reply)["events"]:
                self.latencies.append(now - _STAMP.unpack_from(event["kv"]["value"])[0])


def _must_be_bookmark(reply: dict[str, Any]) -> None:
    """Ignore a bookmark, which comes while nothing happens; a watch must not end."""
    if reply.get("canceled") or "events" not in reply:
        raise ProtocolError(f"a watch ended: {reply.get('cancel_reason') or reply}")


def prefix_watches(wires: Wires, watchers: int, puts: int) -> WatchedKeys:
    """Watches of the whole prefix: each of them gets an event of every put."""
    return WatchedKeys(wires, [(WATCH_PREFIX, WATCH_PREFIX_END)] * watchers, watchers * puts)


def key_watches(wires: Wires, keys: int, puts: int) -> WatchedKeys:
    """A watch for every one of so many keys: each put is an event of one of them."""
    return WatchedKeys(wires, [(WATCH_PREFIX + b"%d" % key, b"") for key in range(keys)], puts)


def _open(
    socket: zmq.Socket[bytes],
    intervals: Sequence[tuple[bytes, bytes]],
    first_id: int,
    step: int,
    shown: dict[str, str],
) -> None:
    """Open watches on one connection, with every `step`th id from the first on."""
    requests = [
        wire.pack(
            {
                "id": FIRST_ID,
                "op": "watch_create",
                "key": key,
                "range_end": range_end,
                "watch_id": first_id + number * step,
                **shown,
            }
        )
        for number, (key, range_end) in enumerate(intervals)
    ]
    send_all(socket, requests)
    left = len(requests)
    while left:
        if not socket.poll(STALL_MS):
            raise UnavailableError(f"{left:,} watches were not accepted in {STALL_MS / 1000:g} s")
        for reply in map(decoded, wire.frames_in(socket.recv())):
            if reply.get("created"):
                left -= 1
            else:
                _must_be_bookmark(reply)


def _event_count(frame: bytes) -> int:
    """The number of events of a reply: the length of the array after the name `events`."""
    at = frame.index(_EVENTS) + len(_EVENTS)
    head = frame[at]
    if head & 0xF0 == 0x90:
        return head & 0x0F
    size = {0xDC: 2, 0xDD: 4}[head]
    return int.from_bytes(frame[at + 1 : at + 1 + size], "big")
