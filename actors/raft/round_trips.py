"""Round trips: whether the other members answer, and how long a frame takes to them and back.

A member sends each of the others a ping every second, and counts the time until the pong: so all
members measure, and an idle cluster too, as etcd's do. One that does not answer is asked more
often, so that its return is seen soon. No rule of Raft depends on it. Refuses to know how a frame
travels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Literal

from actors.language.metrics import TRIP_BOUNDS, TRIP_FIRST_NS, Histogram, PeerMetrics
from actors.raft.facts import FactBook, PeerFound, PeerLost
from actors.raft.outcome import CoreConfig
from actors.raft.rpc import Ping, Pong

PING_EVERY_MS: Final = 1_000
PING_LOST_EVERY_MS: Final = 100
"""How often a member is asked that answers, and one that does not."""

PINGS_UNANSWERED_MAX: Final = 64
"""The number of pings whose answers may still come; answers to older ones are not believed."""

_NS_PER_MS: Final = 1_000_000


class _Trips:
    """The round trips to one member.

    `stamps` are those of the pings without an answer. `lost_ns` is when the member was heard no
    more; None: it has not answered yet at all.
    """

    __slots__ = ("durations", "is_active", "lost_ns", "pinged_ns", "stamps")

    def __init__(self) -> None:
        self.durations = Histogram(TRIP_FIRST_NS, TRIP_BOUNDS)
        self.is_active = False
        self.lost_ns: int | None = None
        self.pinged_ns: int | None = None
        self.stamps: deque[int] = deque(maxlen=PINGS_UNANSWERED_MAX)

    def ping_due_ns(self, now_ns: int) -> int:
        """When to ask it next."""
        if self.pinged_ns is None:
            return now_ns
        every_ms = PING_EVERY_MS if self.is_active else PING_LOST_EVERY_MS
        return self.pinged_ns + every_ms * _NS_PER_MS


class RoundTrips:
    """The round trips from one member to the others.

    `clock_ns` is monotonic; None: no pings. A member is lost that has not answered for an election
    timeout, or whose connection broke, and found when it answers within one: `facts` get it.
    """

    def __init__(
        self, config: CoreConfig, clock_ns: Callable[[], int] | None, facts: FactBook
    ) -> None:
        self._own_id = config.member_id
        self._clock_ns = clock_ns
        self._answer_ns = config.election_timeout_ms * _NS_PER_MS
        self._facts = facts
        self._peers: dict[int, _Trips] = {}
        self.are_measured = clock_ns is not None

    def pings(self, members: Iterable[int]) -> list[Ping]:
        """The pings to send now to exactly these members; the others are forgotten."""
        if self._clock_ns is None:
            return []
        now_ns, due = self._clock_ns(), []
        self._peers = {each: self._peers.get(each) or _Trips() for each in members}
        for member, trips in self._peers.items():
            if trips.stamps and now_ns - trips.stamps[0] >= self._answer_ns:
                self._lose(member, trips, "timeout", trips.stamps[0])
            if now_ns >= trips.ping_due_ns(now_ns):
                trips.pinged_ns = now_ns
                due.append(Ping(self._own_id, member, now_ns))
        return due

    def sent(self, ping: Ping) -> None:
        """The ping has left: its answer may come."""
        self._peers[ping.target].stamps.append(ping.stamp)

    def wait_ms(self) -> int:
        """After what time `pings` has something to do again."""
        assert self._clock_ns is not None, "round trips are measured"
        now_ns = self._clock_ns()
        due_ns = [trips.ping_due_ns(now_ns) for trips in self._peers.values()]
        due_ns += [
            trips.stamps[0] + self._answer_ns
            for trips in self._peers.values()
            if trips.is_active and trips.stamps
        ]
        left_ns = min(due_ns, default=now_ns + PING_EVERY_MS * _NS_PER_MS) - now_ns
        return max(1, -(-left_ns // _NS_PER_MS))

    def lost(self, member: int) -> None:
        """The connection to a member broke: only a ping from now on shows that it is back."""
        trips = self._peers.get(member)
        if trips is not None and self._clock_ns is not None:
            self._lose(member, trips, "connection", self._clock_ns())
            trips.stamps.clear()

    def heard(self, pong: Pong) -> bool:
        """A member has answered; False: no ping that was sent, or one that it answered before."""
        trips = self._peers.get(pong.source)
        if trips is None or self._clock_ns is None or pong.stamp not in trips.stamps:
            return False
        now_ns = self._clock_ns()
        trips.durations.add(now_ns - pong.stamp)
        while trips.stamps and trips.stamps[0] <= pong.stamp:
            trips.stamps.popleft()
        # Who always answers too late stays lost, and is not found anew with each answer.
        if not trips.is_active and now_ns - pong.stamp < self._answer_ns:
            lost_ns = trips.lost_ns
            away_ms = None if lost_ns is None else (now_ns - lost_ns) // _NS_PER_MS
            self._facts.note(PeerFound(pong.source, away_ms))
            trips.is_active = True
        return True

    def read(self) -> tuple[PeerMetrics, ...]:
        """All that was counted of the present members."""
        return tuple(
            PeerMetrics(member, trips.is_active, trips.durations.read())
            for member, trips in self._peers.items()
        )

    def _lose(
        self, member: int, trips: _Trips, how: Literal["connection", "timeout"], since_ns: int
    ) -> None:
        if trips.is_active:
            trips.is_active, trips.lost_ns = False, since_ns
            self._facts.note(PeerLost(member, how))
