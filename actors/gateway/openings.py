"""Openings of sessions: which client may open one now, and under which id.

An id is random, from a source that nobody can guess or repeat. So no cluster gives it a second
time: not this one after it was founded anew or rolled back, nor two restored from one snapshot.
The store finds out whether an id is free, when it applies the entry. Knows nothing of tickets,
replies or the log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from actors.language.commands import SESSION_ID_BITS, SessionOpen
from actors.language.messages import Connection
from actors.language.results import Failure, Result

IDS_MAX: Final = 8
"""At most 8 ids are tried for one request; each is taken with a chance of about 10^-15."""

TAKEN: Final = Failure("SessionExist")
"""The store's answer if the id is taken."""

RandomBits = Callable[[int], int]
"""Returns a random number of the given number of bits."""


class OpeningLimits(NamedTuple):
    """A burst of sessions may be opened at once, and then one every `connection_ms` or `node_ms`.

    A client opens one session, and another when that one is lost; a proxy does so for many clients.
    To fill the cluster's table, so that others' sessions end, needs many connections and minutes.
    """

    connection_burst: int = 16
    connection_ms: int = 1_000
    node_burst: int = 1_000
    node_ms: int = 20


class Openings:
    """The openings of one node's clients."""

    def __init__(self, random_bits: RandomBits, limits: OpeningLimits) -> None:
        self._random_bits = random_bits
        self._limits = limits
        # When a whole burst may be opened again, of the node and of each connection, on the node's
        # clock. Connections with a time in the past are left out: so their number is bounded by
        # what the node's own limit lets pass.
        self._node_full_ms = 0
        self._full_ms: dict[Connection, int] = {}

    def admit(self, connection: Connection, now_ms: int) -> bool:
        """Whether this client may open a session now; if so, the opening is counted."""
        limits = self._limits
        full_ms = max(now_ms, self._full_ms.get(connection, 0)) + limits.connection_ms
        node_full_ms = max(now_ms, self._node_full_ms) + limits.node_ms
        if full_ms - now_ms > limits.connection_burst * limits.connection_ms:
            return False
        if node_full_ms - now_ms > limits.node_burst * limits.node_ms:
            return False
        self._forget(now_ms)
        self._full_ms.pop(connection, None)  # to stand behind those that opened one before
        self._full_ms[connection] = full_ms
        self._node_full_ms = node_full_ms
        return True

    def command(self) -> SessionOpen:
        """The command that opens a session; with a new id each time."""
        return SessionOpen(self._random_bits(SESSION_ID_BITS) or 1)  # 0 stands for no session

    def _forget(self, now_ms: int) -> None:
        """Forget connections that may open a whole burst again."""
        while self._full_ms:
            connection, full_ms = next(iter(self._full_ms.items()))
            if full_ms > now_ms:
                break
            del self._full_ms[connection]


def is_worth_another(result: Result, tried: int) -> bool:
    """Whether the result says that the id is taken, and another should be tried."""
    return result == TAKEN and tried < IDS_MAX
