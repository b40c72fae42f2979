"""What clients take of a machine and of a cluster, counted: to see whether they give it back."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from cluster import Client
from tests.limits import HANG_SECONDS

POLL_SECONDS: Final = 0.05
CLIENT_MODULES: Final = ("cluster.client", "cluster.aio", "cluster.errors")

OF_NODES: Final = ("node_sockets", "watchers", "watch_streams", "leases", "keys")


class Counts(NamedTuple):
    """What this process has, and what all nodes have together.

    Threads are those of the system, so ZeroMQ's count too. Objects are those of the client's
    modules. Of the nodes: their sockets, the watches that they serve, the connections that watch,
    and a node's leases, keys, and sessions for writes that are applied once.
    """

    threads: int
    descriptors: int
    sockets: int
    tasks: int
    objects: int
    node_sockets: int
    watchers: int
    watch_streams: int
    leases: int
    keys: int
    sessions: int

    def beyond(self, before: Counts, clients: int = 0) -> dict[str, tuple[int, int]]:
        """What there is more of than before: how many then and now.

        Each of these clients may have left a session, which its nodes forget after ten minutes.
        """
        allowed = before._replace(sessions=before.sessions + clients)
        pairs = zip(self._fields, before, allowed, self, strict=True)
        return {name: (then, now) for name, then, most, now in pairs if now > most}


class Observer:
    """Counts, by a client of its own, which is open all the time."""

    def __init__(self, client: Client, nodes: Callable[[], Iterable[int]]) -> None:
        self._client = client
        self._nodes = nodes

    def counts(self) -> Counts:
        """All counts now; in a task, of its event loop."""
        gc.collect()
        metrics = [self._metrics(endpoint) for endpoint in self._client.endpoints]
        own = descriptors(os.getpid())
        return Counts(
            threads=len(list(Path("/proc/self/task").iterdir())),
            descriptors=own.all,
            sockets=own.sockets,
            tasks=len(asyncio.all_tasks()),
            objects=sum(
                str(type(o).__module__).startswith(CLIENT_MODULES) for o in gc.get_objects()
            ),
            node_sockets=sum(descriptors(node).sockets for node in self._nodes()),
            watchers=sum(each["watchers"] for each in metrics),
            watch_streams=sum(each["watch_streams"] for each in metrics),
            leases=max(each["leases"] for each in metrics),
            keys=max(each["keys"] for each in metrics),
            sessions=max(each["sessions"] for each in metrics),
        )

    async def settled(
        self, before: Counts, clients: int, only: Container[str] = Counts._fields
    ) -> Counts:
        """Count until there is no more than before, of these counts, or until that takes too long.

        What a client gave back, others may take a moment to put away.
        """
        until = time.monotonic() + HANG_SECONDS
        while True:
            counts = self.counts()
            beyond = counts.beyond(before, clients)
            if not any(name in only for name in beyond) or time.monotonic() > until:
                return counts
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), POLL_SECONDS)

    def _metrics(self, endpoint: str) -> dict[str, Any]:
        counted: dict[str, Any] = self._client.request({"op": "metrics"}, dict, pinned=endpoint)
        return counted


def _is_of_a_client(thing: object) -> bool:
    # A class may have something else than a name there.
    return str(type(thing).__module__).startswith(CLIENT_MODULES)


class Descriptors(NamedTuple):
    """How many descriptors a process has, and how many of these are sockets."""

    all: int
    sockets: int


def descriptors(pid: int) -> Descriptors:
    """Those of this process now."""
    targets = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # that by which the folder is read has gone already
            targets.append(str(link.readlink()))
    return Descriptors(len(targets), sum(target.startswith("socket:") for target in targets))
