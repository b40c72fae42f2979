"""How large a request each node takes: asked before a request is sent that may be too large.

A node answers a request that is a little above its limit with an error. A frame that is far above
the limit ends its connection, and all that was under way there. The client could not tell why, nor
what came of a write.

Pure: a part of the client's calls. It refuses to send, and to know what a failure means: `calling`
sends the question as it does the request.
"""

from __future__ import annotations

from typing import Final

from cluster.client.engine.call import REQUEST_FRAME_BYTES_MAX, Call
from cluster.client.replies import Reply
from cluster.faults import FAULTS

USUALLY_TAKEN_BYTES: Final = 2 * 1024 * 1024
"""A node with the usual --max-request-bytes answers a frame up to this size."""

ALWAYS_TAKEN_BYTES: Final = 512 * 1024
"""Every node answers a frame up to this size, also with a lower --max-request-bytes."""


class SizeLimits:
    """The limits that nodes have told, by connection."""

    def __init__(self) -> None:
        self._request_bytes_max: dict[str, int] = {}

    def frame(self, call: Call, connection: str) -> bytes:
        """What to send of a call next: the request, or the question whether it is too large.

        The question takes a round trip, so what a usual node takes is sent without. But if an
        earlier attempt had no answer, the reason may be its size. Raises what `Call.frame` does.
        """
        frame = call.frame()
        known = self._request_bytes_max.get(connection)
        if known is not None:
            call.is_question = False
            if len(frame) > known:
                raise ValueError(FAULTS["RequestTooLarge"].message)
            return frame
        taken = ALWAYS_TAKEN_BYTES if call.uncertain else USUALLY_TAKEN_BYTES
        call.is_question = len(frame) > taken
        return call.question() if call.is_question else frame

    def told(self, connection: str, status: Reply) -> None:
        """The node has answered; one that does not tell its limit is sent everything."""
        limit = status.get("maxRequestBytes")
        known = limit if type(limit) is int else REQUEST_FRAME_BYTES_MAX
        self._request_bytes_max[connection] = known

    def forget(self, connection: str) -> None:
        """The connection is a new one: the node may be another, or have another limit."""
        self._request_bytes_max.pop(connection, None)
