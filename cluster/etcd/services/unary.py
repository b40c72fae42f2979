"""An RPC of one request and one answer that an operation of the node serves.

The node's reply is the answer, field by field. A write is never sent twice: when the link breaks
under it, nobody can tell whether it was applied, and the client learns that (code 14).
"""

from __future__ import annotations

from cluster.etcd.rpc.status import error_in
from cluster.etcd.services.calls import (
    Link,
    Reply,
    Request,
    RpcCall,
    requires_leader,
    when_led,
)


class Unary:
    """Serves one call by one operation of the node."""

    def __init__(self, call: RpcCall, link: Link) -> None:
        self._call = call
        self._link = link
        # The call to the node whose answer is awaited.
        self._number: int | None = None

    def on_request(self, request: Request) -> None:
        """Ask the node; for a client that requires a leader, first whether it knows one."""
        if requires_leader(self._call.metadata):
            self._number = when_led(self._link, lambda: self._ask(request), self._call.finish)
        else:
            self._ask(request)

    def on_half_close(self) -> None:
        """Nothing: the answer is on its way."""

    def on_cancel(self) -> None:
        """Drop the answer. The operation goes on in the node, as in etcd."""
        if self._number is not None:
            self._link.forget(self._number)

    def on_drained(self) -> None:
        """Nothing: there is one answer only."""

    def _ask(self, request: Request) -> None:
        self._number = self._link.call(request, self._done)

    def _done(self, reply: Reply) -> None:
        self._number = None
        error = error_in(reply)
        if error is None:
            self._call.send(self._answer(reply))
        self._call.finish(error)

    def _answer(self, reply: Reply) -> Reply:
        """What the client is answered; here the node's own reply."""
        return reply
