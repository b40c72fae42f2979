"""The client's core: its calls, its watches and the leases it renews, behind one set of inputs.

Pure and deterministic: it refuses sockets, threads and clocks. Time (seconds, monotonic) and chance
are arguments. Inputs are replies, connections that come up or go down, and the methods of its
parts. Outputs are the lists `sends`, `dials`, `completed`, `notices`, `changes` (of the state),
`news` (for the log) and `key_news.found`. The carrier of the engine carries them out and empties
them, and never replaces a list, because the parts hold it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cluster.client.engine.calling import CallOptions, Calls
from cluster.client.engine.direct import DirectWays
from cluster.client.engine.key_news import KeyNews
from cluster.client.engine.leading import LeaderPreference
from cluster.client.engine.learned import LearnedMembers
from cluster.client.engine.leasing import Keepers
from cluster.client.engine.notices import LeaseLost, Notice
from cluster.client.engine.states import States
from cluster.client.engine.watching import Watches


class Core:
    """What one client has under way: its calls, and the watches and renewals that use them.

    `chance` returns a number from 0 up to 1; `first` is the index of the preferred endpoint.
    `direct` has the endpoints, with their addresses, for which direct ways are looked for. `keyed`
    has those that name the keys of their nodes, if all do. `addresses`: those of all endpoints, if
    the client is to learn who leads, and which members there are beside them.
    """

    def __init__(
        self,
        names: Iterable[str],
        options: CallOptions,
        chance: Callable[[], float],
        first: int = 0,
        direct: Mapping[str, str] | None = None,
        addresses: Mapping[str, str] | None = None,
        *,
        keyed: Iterable[str] = (),
    ) -> None:
        self.calls = Calls(names, options, chance, first)
        self.notices: list[Notice] = []
        self.watches = Watches(self.calls, self.notices)
        self.keepers = Keepers(self.calls, self.notices, self._lease_lost)
        self._states = States()
        self.changes = self._states.changes
        self.ways = DirectWays(self.calls, direct or {})
        self.dials = self.ways.dials
        self.key_news = KeyNews(self.calls, keyed)
        self._learned = LearnedMembers(self.calls, self.dials, addresses or {})
        self.endpoints = self.calls.endpoints
        self._leading = LeaderPreference(self.calls, chance, is_wanted=addresses is not None)
        self.sends = self.calls.sends
        self.completed = self.calls.completed
        self.news = self.calls.news

    @property
    def wake_at(self) -> float:
        """When `tick` must be called next, unless another input comes earlier."""
        return self.calls.wake_at

    def reply(self, endpoint: str, message: Any, now: float) -> None:
        """A decoded frame has come from an endpoint."""
        self.calls.heard_at[endpoint] = now
        if not isinstance(message, Mapping):
            return  # not this protocol: the caller learns of it when the attempt times out
        # Only what a watch sends has no request's id.
        if message.get("id") is None:
            self.watches.message(endpoint, message, now)
        else:
            self.calls.reply(endpoint, message, now)
        self._leading.heard(endpoint, message.get("header"), now)

    def endpoint_up(self, endpoint: str, now: float) -> None:
        """The connection to an endpoint is established."""
        if not self.endpoints.is_known(endpoint):
            return  # a direct connection that was given up a moment ago
        self.calls.endpoint_up(endpoint, now)
        self.ways.endpoint_up(endpoint, now)
        self.key_news.endpoint_up(endpoint, now)
        self._learned.endpoint_up(now)
        self._states.reach(self.endpoints.any_up)

    def endpoint_down(self, endpoint: str, now: float) -> None:
        """The connection to an endpoint is gone: its calls and watches go on at another one."""
        if not self.endpoints.is_known(endpoint):
            return  # a direct connection that was given up a moment ago
        self.calls.endpoint_down(endpoint, now)
        self.watches.endpoint_down(endpoint, now)
        self.ways.endpoint_down(endpoint, now)
        self._leading.endpoint_down(endpoint)
        if not self.endpoints.any_up:
            self._learned.nothing_is_up(now)
        self._states.reach(self.endpoints.any_up)

    def tick(self, now: float) -> None:
        """Do what is due: end overdue calls and attempts, retry, renew leases, resume watches."""
        if now < self.calls.wake_at:
            return
        for endpoint in self.calls.tick(now):
            self.watches.endpoint_silent(endpoint, now)
        self.watches.tick(now)
        self.keepers.tick(now)
        self.ways.tick(now)
        self._leading.tick(now)
        self._learned.tick(now)

    def close(self, now: float) -> None:
        """End every call with an error. A write that was sent may still be applied."""
        self.ways.stop()
        self._leading.stop()
        self._learned.stop()
        self.calls.close(now)
        self._states.close()

    def _lease_lost(self, lost: LeaseLost) -> None:
        self.notices.append(lost)
        self._states.lease_lost(self.endpoints.any_up)
