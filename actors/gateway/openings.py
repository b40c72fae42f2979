"""Openings of sessions: who may open one now, and under which id.

An id is chosen by chance, from a source that nobody can guess or repeat, so that no other life of
any cluster gives it: not this cluster made anew, nor rolled back, nor a snapshot restored twice.
That it is free here is seen where it is applied. Knows nothing of tickets, replies or the log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from actors.language.commands import SESSION_ID_BITS, SessionOpen
from actors.language.messages import Connection
from actors.language.results import Failure, Result

IDS_MAX: Final = 8
"""So many ids are tried for one request; each is taken with a chance of about 10^-15."""

TAKEN: Final = Failure("SessionExist")

RandomBits = Callable[[int], int]
"""A random number of that many bits."""


class OpeningLimits(NamedTuple):
    """So many sessions may be opened at once, and then one in so many milliseconds.

    A client opens one, and another when that one is lost; a proxy does so for many. Whoever wants
    to fill the cluster's table, so that others' sessions end, needs many connections and minutes.
    """

    connection_burst: int = 16
    connection_ms: int = 1_000
    node_burst: int = 1_000
    node_ms: int = 20


class Openings:
    """Those of one node."""

    def __init__(self, random_bits: RandomBits, limits: OpeningLimits) -> None:
        self._random_bits = random_bits
        self._limits = limits
        # When all may be opened at once again, on the node's clock; those in the past are left out,
        # so that there are never more of them than the node's own limit lets pass.
        self._node_full_ms = 0
        self._full_ms: dict[Connection, int] = {}

    def admit(self, connection: Connection, now_ms: int) -> bool:
        """Whether this client may open a session now; then that counts."""
        limits = self._limits
        full_ms = max(now_ms, self._full_ms.get(connection, 0)) + limits.connection_ms
        node_full_ms = max(now_ms, self._node_full_ms) + limits.node_ms
        if full_ms - now_ms > limits.connection_burst * limits.connection_ms:
            return False
        if node_full_ms - now_ms > limits.node_burst * limits.node_ms:
            return False
        self._forget(now_ms)
        self._full_ms.pop(connection, None)  # to stand behind those who opened one before
        self._full_ms[connection] = full_ms
        self._node_full_ms = node_full_ms
        return True

    def command(self) -> SessionOpen:
        """What opens a session; under another id each time."""
        return SessionOpen(self._random_bits(SESSION_ID_BITS) or 1)  # 0 stands for no session

    def is_worth_another(self, result: Result, tried: int) -> bool:
        """Whether this came of an id that is taken, and others should be tried."""
        return result == TAKEN and tried < IDS_MAX

    def _forget(self, now_ms: int) -> None:
        """Let go of connections that have opened none for a while."""
        while self._full_ms:
            connection, full_ms = next(iter(self._full_ms.items()))
            if full_ms > now_ms:
                break
            del self._full_ms[connection]
