"""The client's core: its calls, its watches and the leases it keeps, behind one set of inputs.

Pure and deterministic: no socket, thread or clock; time (seconds, monotonic) and chance are
arguments. Put in replies, ups and downs, and what the parts take; take out `sends`, `completed` and
`notices`. These lists are emptied by who carries them out, never replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cluster.client.calling import CallOptions, Calls
from cluster.client.leasing import Keepers
from cluster.client.notices import Notice
from cluster.client.watching import Watches


class Core:
    """What one client has under way: watches and renewals are made of calls, and stand on them.

    `chance` returns a number from 0 up to 1; `first` is the index of the preferred endpoint.
    """

    def __init__(
        self,
        names: Iterable[str],
        options: CallOptions,
        chance: Callable[[], float],
        first: int = 0,
    ) -> None:
        self.calls = Calls(names, options, chance, first)
        self.notices: list[Notice] = []
        self.watches = Watches(self.calls, self.notices)
        self.keepers = Keepers(self.calls, self.notices)
        self.endpoints = self.calls.endpoints
        self.sends = self.calls.sends
        self.completed = self.calls.completed

    @property
    def wake_at(self) -> float:
        """When `tick` has something to do next, if nothing else happens before."""
        return self.calls.wake_at

    def reply(self, endpoint: str, message: Any, now: float) -> None:
        """A decoded frame has come from an endpoint."""
        self.calls.heard_at[endpoint] = now
        if not isinstance(message, Mapping):
            return  # not this protocol; the attempt's timeout says so to the caller
        if message.get("id") is None:
            self.watches.message(endpoint, message, now)
        else:
            self.calls.reply(endpoint, message, now)

    def endpoint_up(self, endpoint: str, now: float) -> None:
        """The connection to an endpoint is established."""
        self.calls.endpoint_up(endpoint, now)

    def endpoint_down(self, endpoint: str, now: float) -> None:
        """The connection to an endpoint is gone, and all that was under way there."""
        self.calls.endpoint_down(endpoint, now)
        self.watches.endpoint_down(endpoint, now)

    def tick(self, now: float) -> None:
        """Do what is due: end overdue calls and attempts, retry, renew leases, resume watches."""
        if now < self.calls.wake_at:
            return
        for endpoint in self.calls.tick(now):
            self.watches.endpoint_silent(endpoint, now)
        self.watches.tick(now)
        self.keepers.tick(now)

    def close(self, now: float) -> None:
        """End every call: nobody will answer. A write that was sent may still be applied."""
        self.calls.close(now)
