"""Whose a call is: the token beside its request, which goes into each request to the node.

The node alone knows what a token is worth. Refuses to know how a client got it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from cluster.etcd.services.calls import Feed, Link, Reply, Request

TOKEN: Final = "token"
"""The field of a request that holds a token."""

BEARER: Final = "Bearer "
"""What may stand before a token in the header `Authorization` (etcd's since 3.6)."""


def token_of(metadata: Mapping[bytes, bytes]) -> str | None:
    """The token that a client shows: gRPC's `token`, else `authorization`; None: it shows none.

    As in etcd an empty one is a token, which nobody has made.
    """
    shown = metadata.get(b"token")
    if shown is None:
        shown = metadata.get(b"authorization")
        if shown is None:
            return None
    return shown.decode("latin-1").removeprefix(BEARER)


class TokenLink:
    """The way to the node of one call with a token: each of its requests shows it."""

    def __init__(self, link: Link, token: str) -> None:
        self._link = link
        self._token = token

    def call(
        self,
        request: Request,
        done: Callable[[Reply], None],
        timeout_seconds: float | None = None,
    ) -> int:
        """Ask the node."""
        return self._link.call({**request, TOKEN: self._token}, done, timeout_seconds)

    def forget(self, call: int) -> None:
        """Drop the answer to a call."""
        self._link.forget(call)

    def open_stream(
        self, on_message: Callable[[Reply], None], on_end: Callable[[str], None]
    ) -> Feed:
        """A connection to the node of its own."""
        return TokenFeed(self._link.open_stream(on_message, on_end), self._token)


class TokenFeed:
    """A connection of watches, each of which shows the token."""

    def __init__(self, feed: Feed, token: str) -> None:
        self._feed = feed
        self._token = token
        self.pause = feed.pause
        self.resume = feed.resume
        self.close = feed.close

    def send(self, request: Request) -> None:
        """Send a request; to end a watch, or to ask how far it is, needs no right."""
        if request["op"] == "watch_create":
            request = {**request, TOKEN: self._token}
        self._feed.send(request)
