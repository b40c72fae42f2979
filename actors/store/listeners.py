"""Which connections watch at this node: if none does, Watch is not told of events.

If one of them wants previous values, the machine gathers them for every event. It also knows for
whom they watch, since these may lose the right to it.
"""

from __future__ import annotations

from actors.language.auth import Principal, WatchRights
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
from actors.store.auth.check import readable
from actors.store.machine import Machine

Passed = WatchCancel | WatchProgress | Congestion | RoomToTell | ConnectionGone
OfListeners = WatchOpen | Passed
ToWatch = WatchBegin | Passed | Events


class Listeners:
    """The watching connections of one node; `connections` is empty when nobody watches."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self._with_previous: set[Connection] = set()
        # For whom each connection watches.
        self._principals: dict[Connection, set[Principal]] = {}

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
        """A watch begins behind everything that the machine has applied, if it may."""
        if machine.auth.enabled and (fault := machine.fault_of(watch.principal, watch)):
            return WatchBegin(watch, machine.revision, fault)
        self.connections.add(watch.connection)
        self._principals.setdefault(watch.connection, set()).add(watch.principal)
        if watch.prev_kv:
            self._with_previous.add(watch.connection)
            machine.gather_previous = True
        limits = machine.auth.limits_of(watch.principal.user_id)
        return WatchBegin(watch, machine.revision, watches_max=limits.watches)

    def rights(self, machine: Machine) -> tuple[WatchRights, ...]:
        """Who watches, and may watch what now; nothing if nobody watches, or all may."""
        if not self.connections or not machine.auth.enabled:
            return ()
        principals = sorted({each for some in self._principals.values() for each in some})
        return (WatchRights(tuple([(each, readable(machine.auth, each)) for each in principals])),)

    def forget(self, connection: Connection, machine: Machine) -> None:
        """A connection has ended, and all its watches with it."""
        self.connections.discard(connection)
        self._with_previous.discard(connection)
        self._principals.pop(connection, None)
        machine.gather_previous = bool(self._with_previous)
