"""StateBoard: the present state of a client's connection, and who wants to hear of its changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from cluster.client.engine.states import ConnectionState
from cluster.client.flows.shell import Tell

log = logging.getLogger("leasehold.client")

MEANINGS: Final = {
    ConnectionState.CONNECTED: "a node can be reached",
    ConnectionState.SUSPENDED: "no node can be reached",
    ConnectionState.LOST: "a lease that is kept alive has ended",
}

Listener = Callable[[ConnectionState], None]


class StateBoard:
    """The state, as the carrier of the engine last told it, and the listeners."""

    def __init__(self) -> None:
        self.state = ConnectionState.SUSPENDED
        self.is_closing = False
        self._listeners: list[Listener] = []

    def add(self, listener: Listener) -> None:
        """Call a function with each new state from now on."""
        self._listeners.append(listener)

    def remove(self, listener: Listener) -> None:
        """Call it no more; ValueError when it was not added."""
        self._listeners.remove(listener)

    def change(self, state: ConnectionState, tell: Tell) -> None:
        """There is a new state; called by the carrier of the engine."""
        self.state = state
        if not self.is_closing:
            log.info("%s: %s", state, MEANINGS[state])
        for listener in tuple(self._listeners):
            tell(partial(listener, state))

    def forked(self) -> None:
        """In a forked child: no connection is there until it is used again."""
        self.state = ConnectionState.SUSPENDED
