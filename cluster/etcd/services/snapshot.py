"""Snapshot: one file of the node, in parts, as fast as the client reads.

The last 32 bytes of the file are the SHA-256 of what stands before them, as etcd's clients expect.
"""

from __future__ import annotations

from typing import Final

from cluster.etcd.rpc.status import RpcError, error_in
from cluster.etcd.services.calls import QUEUED_BYTES_MAX, Link, Reply, Request, RpcCall
from cluster.faults import UNAVAILABLE, Fault

INCOMPLETE: Final = Fault(UNAVAILABLE, "leasehold: a part of the snapshot is missing")


class SnapshotCall:
    """Serves one Snapshot call. One part is asked for at a time."""

    def __init__(self, call: RpcCall, link: Link) -> None:
        self._call = call
        self._link = link
        self._number: int | None = None
        self._name = ""
        self._offset = 0
        # The client reads more slowly than the node answers: the next part is not asked for yet.
        self._is_held = False
        self._is_over = False

    def on_request(self, request: Request) -> None:
        """Have the node make a copy; its answer has the first part."""
        self._number = self._link.call({"op": "snapshot"}, self._done)

    def on_half_close(self) -> None:
        """Nothing: the parts are on their way."""

    def on_cancel(self) -> None:
        """Ask for no more parts; the node deletes a copy that nobody reads."""
        self._is_over = True
        if self._number is not None:
            self._link.forget(self._number)

    def on_drained(self) -> None:
        """The reader has caught up: ask for the next part."""
        if self._is_held:
            self._is_held = False
            self._next()

    def _next(self) -> None:
        more = {"op": "snapshot", "name": self._name, "offset": self._offset}
        self._number = self._link.call(more, self._done)

    def _done(self, reply: Reply) -> None:
        self._number = None
        error = error_in(reply)
        blob = reply.get("blob", b"")
        if error is None and not blob:
            error = RpcError(*INCOMPLETE)
        if error is not None:
            self._call.finish(error)
            return
        self._name = reply.get("name") or self._name
        self._offset += len(blob)
        left = reply["remaining_bytes"]
        part = {"header": reply["header"], "remaining_bytes": left, "blob": blob}
        self._call.send(part)
        if not left:
            self._call.finish()
        elif self._call.queued() > QUEUED_BYTES_MAX:
            self._is_held = True
        elif not self._is_over:
            self._next()
