"""LeaseKeepAlive: a stream of renewals, answered in the order of the requests.

Many are under way at once, because each is an entry of the log here and a burst of them costs one
sync. The client waits when too many are: etcd renews one after the other.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from cluster.etcd.rpc.status import RpcError, error_in
from cluster.etcd.services.calls import (
    QUEUED_BYTES_MAX,
    Link,
    Reply,
    Request,
    RpcCall,
    requires_leader,
    when_led,
)

RENEWALS_MAX: Final = 1_024
"""A stream's next requests wait while this many of its renewals are under way or unread."""


class _Renewal:
    """One request: its number at the node, and the answer once it is there."""

    __slots__ = ("number", "reply")

    def __init__(self) -> None:
        self.number: int | None = None
        self.reply: Reply | None = None


class KeepAlive:
    """Serves one LeaseKeepAlive stream."""

    def __init__(self, call: RpcCall, link: Link) -> None:
        self._call = call
        self._link = link
        self._renewals: deque[_Renewal] = deque()
        self._half_closed = False
        self._is_paused = False
        self._has_ended = False
        self._requires_leader = requires_leader(call.metadata)
        self._asked: int | None = None

    def on_request(self, request: Request) -> None:
        """Renew a lease. A lease that is gone is answered with a TTL of 0."""
        renewal = _Renewal()
        self._renewals.append(renewal)
        if self._requires_leader:
            # Once a stream: a leader that is lost later fails the renewals themselves.
            self._requires_leader = False
            self._asked = when_led(self._link, self._nothing, self._fail)
        if self._has_ended:
            return
        renewal.number = self._link.call(request, lambda reply: self._done(renewal, reply))
        if len(self._renewals) >= RENEWALS_MAX and not self._is_paused:
            self._is_paused = True
            self._call.pause()

    def on_half_close(self) -> None:
        """Answer what is under way, then end well."""
        self._half_closed = True
        self._tell()

    def on_cancel(self) -> None:
        """Drop the answers; the renewals may still be applied."""
        self._has_ended = True
        if self._asked is not None:
            self._link.forget(self._asked)
        for renewal in self._renewals:
            if renewal.number is not None and renewal.reply is None:
                self._link.forget(renewal.number)
        self._renewals.clear()

    def on_drained(self) -> None:
        """The reader has caught up: tell it what was held back."""
        self._tell()

    def _nothing(self) -> None:
        """There is a leader: nothing stands in the way of the renewals."""
        self._asked = None

    def _done(self, renewal: _Renewal, reply: Reply) -> None:
        renewal.reply = reply
        self._tell()

    def _tell(self) -> None:
        """Send the answers whose turn has come, as far as the reader takes them."""
        while self._renewals and not self._has_ended:
            reply = self._renewals[0].reply
            if reply is None or self._call.queued() > QUEUED_BYTES_MAX:
                break
            self._renewals.popleft()
            error = error_in(reply)
            if error is not None:
                self._fail(error)
                return
            self._call.send(reply)
        if self._half_closed and not self._renewals and not self._has_ended:
            self._has_ended = True
            self._call.finish()
        elif self._is_paused and len(self._renewals) <= RENEWALS_MAX // 2:
            self._is_paused = False
            self._call.resume()

    def _fail(self, error: RpcError) -> None:
        self.on_cancel()
        self._call.finish(error)
