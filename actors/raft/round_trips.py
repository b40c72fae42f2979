"""Round trips: whether the other members answer, and how long a frame takes to them and back.

A member sends each of the others a ping every second, and counts the time until the pong: so all
members measure, and an idle cluster too, as etcd's do. No rule of Raft depends on it. Refuses to
know how a frame travels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from actors.language.metrics import TRIP_BOUNDS, TRIP_FIRST_NS, Histogram, PeerMetrics
from actors.raft.rpc import Ping, Pong


class _Trips:
    """The round trips to one member; `stamp` is that of a ping without an answer, 0: of none."""

    __slots__ = ("durations", "is_active", "stamp")

    def __init__(self) -> None:
        self.durations = Histogram(TRIP_FIRST_NS, TRIP_BOUNDS)
        self.is_active = False
        self.stamp = 0


class RoundTrips:
    """The round trips from one member to the others; `clock_ns` is monotonic, None: no pings."""

    def __init__(self, own_id: int, clock_ns: Callable[[], int] | None) -> None:
        self._own_id = own_id
        self._clock_ns = clock_ns
        self._peers: dict[int, _Trips] = {}

    def pings(self, members: Iterable[int]) -> list[Ping]:
        """The pings to send now to exactly these members; the others are forgotten."""
        sent: list[Ping] = []
        if self._clock_ns is None:
            return sent
        self._peers = {each: self._peers.get(each) or _Trips() for each in members}
        for member, trips in self._peers.items():
            if trips.stamp:
                trips.is_active = False  # it had a second for the answer
            trips.stamp = self._clock_ns()
            sent.append(Ping(self._own_id, member, trips.stamp))
        return sent

    def heard(self, pong: Pong) -> bool:
        """A member has answered; False: not to the last ping, or to one that it got before."""
        trips = self._peers.get(pong.source)
        if trips is None or self._clock_ns is None or not trips.stamp == pong.stamp != 0:
            return False
        trips.durations.add(self._clock_ns() - trips.stamp)
        trips.is_active, trips.stamp = True, 0
        return True

    def read(self) -> tuple[PeerMetrics, ...]:
        """All that was counted of the present members."""
        return tuple(
            PeerMetrics(member, trips.is_active, trips.durations.read())
            for member, trips in self._peers.items()
        )
