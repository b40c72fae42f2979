"""Watch: the watches of one stream are those of one connection to the node.

So the node gives the ids, keeps the order and waits for slow readers. What remains here is what
etcd's clients expect differently: bookmarks come only when asked for, a refusal is an answer and
not an error, and a member without a leader ends the stream of a client that requires one.
"""

from __future__ import annotations

from typing import Final

from cluster.etcd.rpc.status import RpcError, code_of
from cluster.etcd.services.calls import (
    QUEUED_BYTES_MAX,
    Feed,
    Link,
    Reply,
    Request,
    RpcCall,
    requires_leader,
    when_led,
)
from cluster.faults import FAULTS, INVALID_ARGUMENT, NOT_FOUND, UNAVAILABLE

NO_WATCH: Final = -1
"""The watch id of a refusal, and of what is said about all watches of a stream."""

ENDINGS: Final = {
    fault.message: fault for fault in (FAULTS["NoLeader"], FAULTS["NotSupportedForLearner"])
}
"""Why a node ends all its watches: the client should go to another member."""

FORBIDDEN: Final = {
    fault.message: f"rpc error: code = {code_of(fault.code).name} desc = {fault.message}"
    for fault in (FAULTS["PermissionDenied"], FAULTS["InvalidAuthToken"], FAULTS["UserEmpty"])
}
"""Why a watch is refused or ended for want of rights, and etcd's text for it: Go's of an error. By
it Go's client knows that it has to log in again."""


class WatchStream:
    """Serves one Watch stream."""

    def __init__(self, call: RpcCall, link: Link) -> None:
        self._call = call
        self._link = link
        self._feed: Feed | None = None
        # Requests that wait until the node has said whether it knows a leader.
        self._waiting: list[Request] | None = None
        self._asked: int | None = None
        if requires_leader(call.metadata):
            self._waiting = []
            self._asked = when_led(link, self._begin, call.finish)

    def on_request(self, request: Request) -> None:
        """Hand a request to the node, in etcd's reading of it."""
        if "op" not in request:
            return  # it asks for nothing, and etcd takes no notice
        if self._waiting is not None:
            self._waiting.append(request)
            return
        if request["op"] == "watch_create" and not requires_leader(self._call.metadata):
            request["without_leader"] = True
        # The id tells the answer to a request from what the node says by itself.
        request["id"] = f"{request['op']} {request.get('watch_id', 0)}"
        if self._feed is None:
            self._feed = self._link.open_stream(self._on_message, self._on_end)
        self._feed.send(request)

    def on_half_close(self) -> None:
        """The client makes no more watches, and those that it has go on (as in etcd 3.5)."""

    def on_cancel(self) -> None:
        """End the watches with the connection that they are on."""
        if self._asked is not None:
            self._link.forget(self._asked)
        self._close()

    def on_drained(self) -> None:
        """The reader has caught up: read on."""
        if self._feed is not None:
            self._feed.resume()

    def _begin(self) -> None:
        self._asked = None
        waiting, self._waiting = self._waiting or [], None
        for request in waiting:
            self.on_request(request)

    def _on_message(self, reply: Reply) -> None:
        asked = reply.pop("id", None)
        if "error" in reply:
            self._refuse(asked, reply["error"])
            return
        reason = reply.get("cancel_reason")
        if reason in ENDINGS:
            self._fail(RpcError(*ENDINGS[reason]))
            return
        if reason in FORBIDDEN:
            if asked is not None:
                self._send_refusal(_watch_id(asked), FORBIDDEN[reason], reply["header"])
                return
            reply["cancel_reason"] = FORBIDDEN[reason]
        if asked is None and reply["watch_id"] == NO_WATCH and not reply.get("events"):
            return  # a bookmark that nobody has asked for
        if reply.get("canceled") and reply.get("compact_revision"):
            reply = _without_what_compaction_hides(reply)
        self._call.send(reply)
        if self._call.queued() > QUEUED_BYTES_MAX and self._feed is not None:
            self._feed.pause()

    def _refuse(self, asked: str | None, error: Reply) -> None:
        """The node refuses a request: a mistake in one is told as etcd tells it."""
        code, message = error["code"], error["message"]
        op = (asked or "").partition(" ")[0]
        if op == "watch_cancel" and code in (INVALID_ARGUMENT, NOT_FOUND):
            return  # etcd says nothing about a watch that is not there
        if op == "watch_create" and code == INVALID_ARGUMENT:
            self._send_refusal(NO_WATCH, message, {})
        else:
            self._fail(RpcError(code, message))

    def _send_refusal(self, watch_id: int, reason: str, header: Reply) -> None:
        refused = {"created": True, "canceled": True, "cancel_reason": reason}
        self._call.send({"header": header, "watch_id": watch_id, **refused})

    def _on_end(self, reason: str) -> None:
        """The connection to the node is gone: the client goes on elsewhere where it stopped."""
        self._feed = None
        self._call.finish(RpcError(UNAVAILABLE, reason))

    def _fail(self, error: RpcError) -> None:
        self._close()
        self._call.finish(error)

    def _close(self) -> None:
        if self._feed is not None:
            self._feed.close()
            self._feed = None


def _watch_id(asked: str) -> int:
    """The id that the client has asked for; 0 if the node was to choose."""
    return int(asked.rpartition(" ")[2])


def _without_what_compaction_hides(reply: Reply) -> Reply:
    """The end of a watch by compaction: etcd tells the compacted revision, no other and no text.

    Its clients have a text of their own for this end, and print the header as it comes.
    """
    header = {name: value for name, value in reply["header"].items() if name != "revision"}
    return {**reply, "header": header, "cancel_reason": ""}
