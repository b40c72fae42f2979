"""What all groups of calls stand on: the client that sends them."""

from __future__ import annotations

from cluster.client.api import Client


class Calls:
    """The base of the calls of a client of this package."""

    def __init__(self, client: Client) -> None:
        self._client = client
