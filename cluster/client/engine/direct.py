"""Direct ways: connections to a member itself, for requests to an endpoint that has a front.

A front passes a client's bytes on to its node, which costs each request some time. A member may
advertise the URL of its front (`http://`) and its own (`tcp://`): then later requests to the
endpoint go to the member itself, once a connection there is up and the same member of the same
cluster has answered there. Requests and watches under way stay. Without such a way nothing changes.

Pure; it sends by the client's calls. Its output is the list `dials`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from cluster.client.engine.call import FOREVER, Call
from cluster.client.engine.calling import Calls
from cluster.client.engine.endpoints import address
from cluster.client.replies import of, read
from cluster.client.results import MemberListResult
from cluster.errors import LeaseholdError
from cluster.schemes import HTTP, TCP

ASK_AFTER_SECONDS: Final = 1.0
"""A client asks for the members when an endpoint has been connected for this time: a program that
ends sooner has nothing to gain."""

ANSWER_SECONDS: Final = 5.0
"""The time for the answer to a question, and with it for the connection that it needs."""

CALM_SECONDS: Final = 1.0
"""The time until the next look whether asynchronous requests are still under way."""

AGAIN_SECONDS: Final = 10.0
"""A direct connection that broke is tried again after this time."""

LOSSES_MAX: Final = 3
"""After this number of direct connections that broke, the endpoint's own connection is kept, until
it breaks, too."""

URLS_MAX: Final = 4
"""The direct URLs of a member that are tried, one after the other."""

_MEMBERS: Final = of(MemberListResult)


class Dial(NamedTuple):
    """Engine -> its carrier: connect to an address, under a name; no address: hang up.

    `is_direct`: a connection that broke is not made again.
    """

    connection: str
    address: str
    is_direct: bool = True


class _Way:
    """The direct way of one endpoint. At most one of `call` and `due` is set.

    `connection`: the name of the direct connection that is tried or used; empty: there is none.
    `identity`: the ids of the cluster and of the member behind the endpoint.
    `urls`: the member's direct URLs that were not tried yet.
    """

    __slots__ = ("address", "call", "connection", "due", "endpoint", "identity", "losses", "urls")

    def __init__(self, endpoint: str, its_address: str) -> None:
        self.endpoint = endpoint
        self.address = its_address
        self.call: Call | None = None
        self.due = FOREVER
        self.connection = ""
        self.identity = (0, 0)
        self.urls: list[str] = []
        self.losses = 0


class DirectWays:
    """The direct ways of these endpoints of a client, given with their addresses."""

    def __init__(self, calls: Calls, addresses: Mapping[str, str]) -> None:
        self.dials: list[Dial] = []
        self._calls = calls
        self._ways = {name: _Way(name, addresses[name]) for name in addresses}
        self._by_connection: dict[str, _Way] = {}

    # --- inputs ---

    def endpoint_up(self, endpoint: str, now: float) -> None:
        """An endpoint's own connection is established: look for a direct way soon."""
        way = self._ways.get(endpoint)
        if way is None:
            return
        way.losses = 0
        if way.call is None and not way.connection:
            self._wait(way, now + ASK_AFTER_SECONDS)

    def endpoint_down(self, connection: str, now: float) -> None:
        """A connection is gone. If it was a direct one in use, look for another one later."""
        way = self._by_connection.get(connection)
        if way is None or way.call is not None:
            return  # no direct connection, or one on trial: then the question there fails
        self._hang_up(way)
        way.losses += 1
        self._wait(way, now + AGAIN_SECONDS if way.losses < LOSSES_MAX else FOREVER)

    def tick(self, now: float) -> None:
        """Ask for the members, or use a direct connection, where that is due."""
        for way in self._ways.values():
            if way.due > now:
                self._calls.wake_by(way.due)
            elif way.connection:
                self._use_when_calm(way, now)
            else:
                self._ask(way, way.endpoint, now)

    def stop(self) -> None:
        """Try nothing more: the client closes."""
        for way in self._ways.values():
            way.urls.clear()

    # --- from the endpoint to the direct connection ---

    def _ask(self, way: _Way, connection: str, now: float) -> None:
        """Ask for the members, by the endpoint or by the direct connection on trial."""
        way.due = FOREVER
        call = Call({"op": "member_list"}, ANSWER_SECONDS, pinned=connection)
        # One attempt: a question that is not answered moves no request or watch away.
        call.slow = True
        call.on_done = lambda done, when: self._answered(way, done, when)
        way.call = call
        self._calls.begin(call, now)

    def _answered(self, way: _Way, call: Call, now: float) -> None:
        way.call = None
        listed = _listed(call)
        identity = None if listed is None else (listed.header.cluster_id, listed.header.member_id)
        if way.connection:
            if identity == way.identity:
                self._use_when_calm(way, now)
            else:
                self._hang_up(way)
                self._try_next(way, now)
        elif listed is not None and identity is not None:
            way.identity = identity
            way.urls = _direct_urls(listed, way.address)
            self._try_next(way, now)

    def _try_next(self, way: _Way, now: float) -> None:
        """Connect to the next direct URL, if there is one, and ask there who answers."""
        if way.urls:
            url = way.urls.pop(0)
            way.connection = connection = f"{way.endpoint} ({url})"
            self._by_connection[connection] = way
            self._calls.add_connection(connection, way.endpoint)
            self.dials.append(Dial(connection, url))
            self._ask(way, connection, now)

    def _use_when_calm(self, way: _Way, now: float) -> None:
        """Send later requests directly, unless one of them could overtake one that is under way.

        A caller that waits for each answer cannot notice. Asynchronous requests reach the node in
        the order in which they were made, and they should also do so now.
        """
        if self._calls.has_pipelined(way.endpoint):
            self._wait(way, now + CALM_SECONDS)
        else:
            way.due = FOREVER
            self._calls.endpoints.use(way.connection)

    def _hang_up(self, way: _Way) -> None:
        self._calls.endpoints.forget(way.connection)
        del self._by_connection[way.connection]
        self.dials.append(Dial(way.connection, ""))
        way.connection = ""

    def _wait(self, way: _Way, due: float) -> None:
        way.due = due
        self._calls.wake_by(due)


def _listed(call: Call) -> MemberListResult | None:
    """The members in the answer; None if there is no answer, or a foreign one."""
    if call.reply is None:
        return None
    try:
        return read(_MEMBERS, call.reply)
    except LeaseholdError:
        return None


def _direct_urls(listed: MemberListResult, present: str) -> list[str]:
    """The addresses where the member that answered can be reached without its front."""
    for member in listed.members:
        if member.id == listed.header.member_id:
            return _usable(member.client_urls, present)
    return []


def _usable(urls: tuple[str, ...], present: str) -> list[str]:
    if not any(url.startswith(HTTP) for url in urls):
        return []  # the member has no front: the endpoint is the direct way
    try:
        direct = [address(url) for url in urls if url.startswith(TCP)]
    except ValueError:
        return []
    return [] if present in direct else direct[:URLS_MAX]
