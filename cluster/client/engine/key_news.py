"""Key news: a node has changed its key, and another one, which is believed, says which it has now.

A client that names the keys of its nodes would be shut out by a node that changes its key. So it
notes which member is at which endpoint, and when a node there refuses it, asks the others for the
members. It does so only if it names the keys of all its nodes: anybody could answer at another.

Pure; it sends by the client's calls. Its output is the list `found`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from cluster.client.engine.call import Call
from cluster.client.engine.calling import Calls
from cluster.client.replies import of, read
from cluster.client.results import MemberListResult
from cluster.errors import LeaseholdError

NEWS_SECONDS: Final = 5.0
"""The time for an answer."""

NEWS_AGAIN_SECONDS: Final = 0.2
"""The others are asked about an endpoint again after this time, while it refuses the client."""

_MEMBERS: Final = of(MemberListResult)


def all_keyed(addresses: Mapping[str, str]) -> tuple[str, ...]:
    """The endpoints, if the addresses of all name the keys of their nodes; else none."""
    return tuple(addresses) if all("#" in each for each in addresses.values()) else ()


class NewKey(NamedTuple):
    """Key news -> I/O thread: the node of an endpoint has this key now."""

    endpoint: str
    key: str


class KeyNews:
    """The keys of the nodes at these endpoints of a client, which names all of them, or none."""

    def __init__(self, calls: Calls, endpoints: Iterable[str]) -> None:
        self.found: list[NewKey] = []
        self._calls = calls
        self._endpoints = frozenset(endpoints)
        # Which member is at an endpoint, and when the others may be asked about it again.
        self._members: dict[str, int] = {}
        self._ask_at: dict[str, float] = {}

    def endpoint_up(self, endpoint: str, now: float) -> None:
        """The node there has the key that it should have: note which member it is."""
        if endpoint in self._endpoints and endpoint not in self._members:
            self._ask(endpoint, endpoint, now)

    def refused(self, endpoint: str, now: float) -> None:
        """The node there has another key, or is no node."""
        if endpoint not in self._members or now < self._ask_at.get(endpoint, 0.0):
            return
        for other in self._calls.endpoints.names:
            if other != endpoint and self._calls.endpoints.is_up(other):
                self._ask_at[endpoint] = now + NEWS_AGAIN_SECONDS
                self._ask(endpoint, other, now)
                return

    def _ask(self, endpoint: str, whom: str, now: float) -> None:
        call = Call({"op": "member_list"}, NEWS_SECONDS, pinned=whom)
        # One attempt: a question that is not answered moves no request or watch away.
        call.slow = True
        call.on_done = lambda done, when: self._answered(endpoint, whom, done)
        self._calls.begin(call, now)

    def _answered(self, endpoint: str, whom: str, call: Call) -> None:
        if call.reply is None:
            return
        try:
            listed = read(_MEMBERS, call.reply)
        except LeaseholdError:
            return
        if whom == endpoint:
            self._members[endpoint] = listed.header.member_id
            return
        for member in listed.members:
            if member.id == self._members[endpoint] and member.keys:
                self.found.append(NewKey(endpoint, member.keys[-1]))
