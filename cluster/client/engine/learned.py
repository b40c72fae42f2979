"""Members that the program did not name: where to go when none of its endpoints can be reached.

A client reads the list of members now and then. While one of its endpoints is connected the list is
only remembered, since a member's own URL may be of no use from here. When the last connection is
gone, the client connects to the members too, and keeps those connections.

Pure. Its output is the list `dials`, which it shares with the direct ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cluster.client.engine.call import FOREVER, Call
from cluster.client.engine.calling import Calls
from cluster.client.engine.direct import Dial
from cluster.client.engine.endpoints import ENDPOINTS_MAX, address
from cluster.client.replies import of, read
from cluster.client.results import MemberListResult
from cluster.errors import LeaseholdError
from cluster.schemes import HTTP, TCP

FIRST_SECONDS: Final = 2.0
"""A client asks for the members this long after its first connection: a program that ends sooner
has nothing to gain."""

AGAIN_SECONDS: Final = 60.0
ANSWER_SECONDS: Final = 5.0

_MEMBERS: Final = of(MemberListResult)


class LearnedMembers:
    """The addresses of members beside the endpoints, which are given with their addresses.

    It learns nothing without endpoints, and nothing if one is to be reached inside TLS or with the
    key of its node: a member's URL would be a way without.
    """

    def __init__(self, calls: Calls, dials: list[Dial], addresses: Mapping[str, str]) -> None:
        self._calls = calls
        self._dials = dials
        self._known = set(addresses.values())
        self._is_wanted = bool(addresses) and all(map(_is_plain, addresses.values()))
        self._waiting: dict[str, str] = {}
        self._has_asked = False
        self._due = FOREVER

    def endpoint_up(self, now: float) -> None:
        """An endpoint is connected: ask there for the members, if nobody did."""
        if self._is_wanted and not self._has_asked:
            self._has_asked = True
            self._ask_at(now + FIRST_SECONDS)

    def tick(self, now: float) -> None:
        """Ask for the members, if that is due."""
        if self._due > now:
            self._calls.wake_by(self._due)
            return
        self._due = FOREVER
        call = Call({"op": "member_list"}, ANSWER_SECONDS)
        call.on_done = self._answered
        self._calls.begin(call, now)

    def stop(self) -> None:
        """Ask no more: the client closes."""
        self._is_wanted = False

    def _ask_at(self, due: float) -> None:
        self._due = due
        self._calls.wake_by(due)

    def _answered(self, call: Call, now: float) -> None:
        if not self._is_wanted:
            return
        self._ask_at(now + AGAIN_SECONDS)
        if call.reply is not None:
            try:
                self._learn(read(_MEMBERS, call.reply))
            except LeaseholdError:
                return  # another program answers there

    def _learn(self, listed: MemberListResult) -> None:
        self._waiting.clear()
        for member in listed.members:
            places = _places(member.client_urls)
            if places and not self._known.intersection(places):
                self._waiting[places[0].removeprefix(TCP)] = places[0]

    def nothing_is_up(self, now: float) -> None:
        """No endpoint is connected any more: connect to the members that are remembered."""
        waiting, self._waiting = self._waiting, {}
        for name, place in waiting.items():
            if len(self._calls.endpoints.names) < ENDPOINTS_MAX:
                self._known.add(place)
                self._calls.endpoints.append(name, now)
                self._calls.heard_at[name] = 0.0
                self._dials.append(Dial(name, place, is_direct=False))


def _is_plain(place: str) -> bool:
    return place.startswith(TCP) and "#" not in place


def _places(urls: tuple[str, ...]) -> list[str]:
    """The addresses of a member that can be reached without TLS, its own before its front's."""
    usable = [url for scheme in (TCP, HTTP) for url in urls if url.startswith(scheme)]
    try:
        return [address(url) for url in usable]
    except ValueError:
        return []
