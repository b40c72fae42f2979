"""Which connections watch at this node: if none does, Watch is not told of events.

If one of them wants previous values, the machine gathers them for every event.
"""

from __future__ import annotations

from actors.language.messages import (
    Congestion,
    Connection,
    ConnectionGone,
    Events,
    RoomToTell,
    WatchBegin,
    WatchCancel,
    WatchOpen,
    WatchProgress,
)
from actors.store.machine import Machine

Passed = WatchCancel | WatchProgress | Congestion | RoomToTell | ConnectionGone
OfListeners = WatchOpen | Passed
ToWatch = WatchBegin | Passed | Events


class Listeners:
    """The watching connections of one node; `connections` is empty when nobody watches."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self._with_previous: set[Connection] = set()

    def pass_on(self, message: OfListeners, machine: Machine) -> tuple[ToWatch, ...]:
        """What Watch is told when Store hears this, in order."""
        if isinstance(message, WatchOpen):
            return (self.open(message, machine),)
        if isinstance(message, ConnectionGone):
            self.forget(message.connection, machine)
        elif not self.connections:
            # Watch was told of no events: its answer needs the revision.
            return Events(machine.revision, ()), message
        return (message,)

    def open(self, watch: WatchOpen, machine: Machine) -> WatchBegin:
        """A watch begins behind everything that the machine has applied."""
        self.connections.add(watch.connection)
        if watch.prev_kv:
            self._with_previous.add(watch.connection)
            machine.gather_previous = True
        return WatchBegin(watch, machine.revision)

    def forget(self, connection: Connection, machine: Machine) -> None:
        """A connection has ended, and all its watches with it."""
        self.connections.discard(connection)
        self._with_previous.discard(connection)
        machine.gather_previous = bool(self._with_previous)
