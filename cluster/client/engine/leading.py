"""Who leads: writes go to the endpoint that is the leader's, where there is one.

Any member takes a write, but one that does not lead passes it on. Each reply has the term of its
member. A later term means another leader, so the client asks its endpoints who it is. Without an
answer, or when the leader is none of the endpoints, writes go where reads go.

Pure; it asks by the client's calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from cluster.client.engine.call import FOREVER, Call
from cluster.client.engine.calling import Calls
from cluster.client.engine.news import Lead, Oddity
from cluster.client.engine.own_cluster import OwnCluster
from cluster.client.replies import of, read
from cluster.client.results import StatusResult
from cluster.errors import LeaseholdError

FIRST_SECONDS: Final = 1.0
"""A client asks for the first time this long after its first reply: a program that ends sooner has
nothing to gain."""

SOON_SECONDS: Final = 0.5
"""After a change, clients ask at random times up to this, and not all at once."""

AGAIN_SECONDS: Final = 5.0
"""The time until the next question while the leader is not known."""

OUTSIDE_SECONDS: Final = 60.0
"""The same, while the leader is none of the endpoints."""

ANSWER_SECONDS: Final = 5.0

SAYS_NOTHING: Final = "is a ZeroMQ socket that answers nothing: perhaps no node of a cluster"

_STATUS: Final = of(StatusResult)


class LeaderPreference:
    """What a client of several endpoints knows of the leader."""

    def __init__(self, calls: Calls, chance: Callable[[], float], is_wanted: bool) -> None:
        self._calls = calls
        self._chance = chance
        self._is_wanted = is_wanted
        self._term = 0
        self._leader = 0
        self._due = FOREVER
        self._unanswered = 0
        self._member_at: dict[str, int] = {}
        self._cluster = OwnCluster(calls.endpoints, calls.news)
        self._told = ""

    def heard(self, endpoint: str, header: Any, now: float) -> None:
        """A reply has come from an endpoint, with this header."""
        if not self._is_wanted or len(self._calls.endpoints.names) < 2:
            return
        if isinstance(header, dict):
            cluster_id = header.get("cluster_id")
            if not self._cluster.owns(endpoint, cluster_id):
                if not self._cluster.has_met(cluster_id) and not self._unanswered:
                    self._ask_at(min(self._due, now + self._chance() * SOON_SECONDS))
                return
            term = header.get("raft_term")
            if isinstance(term, int) and term > self._term:
                self._calls.endpoints.leader = None
                delay = self._chance() * SOON_SECONDS if self._term else FIRST_SECONDS
                self._term, self._leader = term, 0
                self._ask_at(now + delay)
            elif self._leader and self._due == FOREVER and self._has_failed:
                self._ask_at(now + AGAIN_SECONDS)

    @property
    def _has_failed(self) -> bool:
        """Whether the leader's endpoint has failed, though the member may lead all the same."""
        return self._calls.endpoints.leader is None and not self._unanswered

    def endpoint_down(self, connection: str) -> None:
        """A connection is gone; another member may be there when it comes up again."""
        self._member_at.pop(connection, None)
        self._cluster.lost(connection)

    def tick(self, now: float) -> None:
        """Ask who leads, if that is due."""
        if self._due > now:
            self._calls.wake_by(self._due)
        elif not self._unanswered:
            self._due = FOREVER
            for endpoint in self._calls.endpoints.names:
                if self._calls.endpoints.route(endpoint) is not None:
                    self._ask(endpoint, now)
            if not self._unanswered:
                self._ask_at(now + AGAIN_SECONDS)

    def stop(self) -> None:
        """Ask no more: the client closes."""
        self._is_wanted = False

    def _ask_at(self, due: float) -> None:
        self._due = due
        self._calls.wake_by(due)

    def _ask(self, endpoint: str, now: float) -> None:
        call = Call({"op": "status"}, ANSWER_SECONDS, pinned=endpoint)
        # One attempt: a question that is not answered moves no request or watch away.
        call.slow = True
        call.on_done = lambda done, when: self._answered(endpoint, done, when)
        self._unanswered += 1
        self._calls.begin(call, now)

    def _answered(self, endpoint: str, call: Call, now: float) -> None:
        self._unanswered -= 1
        if call.reply is None:
            if self._calls.endpoints.is_up(endpoint) and not self._calls.heard_at[endpoint]:
                self._calls.news.append(Oddity(endpoint, SAYS_NOTHING))
        else:
            try:
                status = read(_STATUS, call.reply)
            except LeaseholdError:
                pass  # another program answers there
            else:
                self._learn(endpoint, status)
        if not self._unanswered and self._cluster.maybe_change():
            # With the next reply it asks who leads there.
            self._term = self._leader = 0
            self._member_at.clear()
        elif self._is_wanted:
            self._choose(now)

    def _learn(self, endpoint: str, status: StatusResult) -> None:
        head = status.header
        if not self._cluster.is_at(endpoint, head.cluster_id):
            self._member_at.pop(endpoint, None)
            return
        self._member_at[endpoint] = head.member_id
        if head.raft_term >= self._term and status.leader:
            self._term, self._leader = head.raft_term, status.leader

    def _choose(self, now: float) -> None:
        """Have writes go to the leader's endpoint, if it is known by now."""
        if not self._cluster.is_alone and not self._unanswered:
            self._ask_at(now + OUTSIDE_SECONDS)
        for endpoint, member in self._member_at.items():
            if member == self._leader:
                if endpoint != self._told:
                    self._told = endpoint
                    self._calls.news.append(Lead(endpoint))
                self._calls.endpoints.leader = endpoint
                return
        if not self._unanswered:
            self._ask_at(now + (OUTSIDE_SECONDS if self._leader else AGAIN_SECONDS))
