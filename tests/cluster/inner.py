"""What is inside a client, for tests that look at what no program sees."""

from __future__ import annotations

from cluster import Client, Watch
from cluster.client.threads.connection import ThreadedConnection
from cluster.client.threads.shell import ThreadArrivals


def connection_of(client: Client) -> ThreadedConnection:
    """The running connection of a client."""
    connection = client._flow._caller.connection()
    assert isinstance(connection, ThreadedConnection)
    return connection


def waiting_in(watch: Watch) -> int:
    """The number of batches that a watch has queued for its program."""
    incoming = watch._flow._incoming
    assert isinstance(incoming, ThreadArrivals)
    return incoming._queue.qsize()
