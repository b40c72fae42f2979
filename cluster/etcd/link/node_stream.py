"""NodeStream: a connection of its own for what the node sends by itself, such as events of watches.

Its end ends all that was asked for on it. While it is paused, nothing of it is read: so the node
sees that its client does not read, and treats it as it treats any slow client.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cluster.etcd.link.connection import NodeConnection, Reply, pack


class NodeStream:
    """One stream; `on_message` gets all that the node sends, `on_end` once why it has ended.

    Each request carries what is `said` of the client. Neither is called after `close`.
    """

    def __init__(
        self,
        connection: NodeConnection,
        on_message: Callable[[Reply], None],
        on_end: Callable[[str], None],
        said: Mapping[str, str | bytes],
    ) -> None:
        self._connection = connection
        self._said = said
        connection.on_reply, connection.on_lost = on_message, on_end

    def send(self, request: dict[str, Any]) -> None:
        """Send a request; its answer is a message like all others."""
        self._connection.send(pack({**request, **self._said} if self._said else request))

    def pause(self) -> None:
        """Read no more messages."""
        self._connection.pause()

    def resume(self) -> None:
        """Go on reading messages."""
        self._connection.resume()

    def close(self) -> None:
        """End the stream."""
        self._connection.close()
