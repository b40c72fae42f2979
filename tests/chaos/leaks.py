"""`python -m tests.chaos leaks`: what is left of clients when they are closed, killed or go on.

Each shell opens and closes its client very many times, with locks, leases, watches and elections
inside; a part is closed in the middle of things, and a part is never closed. Then nodes of a
cluster of three are killed under clients that live on, one of each shell, and with each node a
client, which the cluster has to tidy up after. Whatever is counted (`leak_counts`) must come back
to what it was before. Memory is shown beside it.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from cluster import Client
from cluster.launcher.local import LocalCluster
from tests.chaos import lives
from tests.chaos.leak_counts import OF_NODES, Counts, Observer
from tests.chaos.lives import Shell, full_pool
from tests.cluster.shells import SHELLS
from tests.limits import HANG_SECONDS, PATIENT

NODES: Final = 3
WARM_UP: Final = 2 * len(lives.LIVES)
VICTIMS: Final = ("leader", "follower")
WARM_UP_KILLS: Final = 4
TTL_SECONDS: Final = 10.0
MEGABYTE: Final = 1e6
ROOT: Final = "root"

FORKING: Final = multiprocessing.get_context("forkserver")
"""Starts processes without the threads of this one."""

Say = Callable[[str], None]


def run(opens: int, kills: int, secure: bool, say: Say) -> bool:
    """All of it, a table for each part; whether nothing has leaked."""
    # Clients tell of nodes that were killed, and there are many.
    logging.getLogger("leasehold.client").setLevel(logging.ERROR)
    with LocalCluster(NODES, secure=secure) as cluster:
        kept = [asyncio.run(_opens(cluster, shell, opens, say)) for shell in SHELLS if opens]
        if kills:
            kept.append(asyncio.run(_kills(cluster, kills, say)))
    return all(kept)


async def _opens(cluster: LocalCluster, name: str, opens: int, say: Say) -> bool:
    """Open and close so many clients; whether all is as it was after the first ones."""
    with _observer(cluster) as observer, full_pool() as pool:
        shell = Shell(name, cluster.endpoints, cluster.login(ROOT), pool, TTL_SECONDS)
        empty = observer.counts()
        await shell.lives(WARM_UP)
        before = await observer.settled(empty, WARM_UP, OF_NODES)
        began, megabytes = time.monotonic(), _megabytes()
        await shell.lives(opens)
        say(f"{name}: {opens:,} clients in {time.monotonic() - began:.0f} s")
        after = await observer.settled(before, opens)
        return _is_well(before, after, opens, megabytes, say)


async def _kills(cluster: LocalCluster, kills: int, say: Say) -> bool:
    """Kill so many nodes and clients; whether all is as it was after the first ones."""
    login, pause = cluster.login(ROOT), asyncio.get_running_loop().run_in_executor
    with _observer(cluster) as observer, full_pool() as pool:
        given = cluster.endpoints, login, pool, TTL_SECONDS
        living = [Living(Shell(name, *given)) for name in SHELLS]
        for one in living:
            await one.begin()
        first = observer.counts()

        async def kill(numbers: Iterable[int]) -> None:
            for number in numbers:
                names = await pause(pool, cluster.kill, VICTIMS[number % len(VICTIMS)])
                killed = _killed_client(number, cluster.endpoints, login)
                await asyncio.gather(*[one.beat() for one in living], pause(pool, killed))
                await pause(pool, cluster.start, *names)

        await kill(range(WARM_UP_KILLS))
        before = await observer.settled(first, WARM_UP_KILLS, OF_NODES)
        began, megabytes = time.monotonic(), _megabytes()
        await kill(range(WARM_UP_KILLS, WARM_UP_KILLS + kills))
        took = time.monotonic() - began
        say(f"both shells: {kills:,} nodes and {kills:,} other clients killed in {took:.0f} s")
        after = await observer.settled(before, kills)
        is_well = _is_well(before, after, kills, megabytes, say)
        for one in living:
            await one.end()
    return is_well


class Living:
    """A client that lives on while nodes are killed, and all that it holds."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._name = f"leaks/{shell.name}/living"
        self._client = shell.client()

    async def begin(self) -> None:
        """Take a lock, an election, a lease, a watch and a mirror."""
        client, name = self._client, self._name
        self._lock = client.lock(f"{name}/lock", HANG_SECONDS)
        await self._lock.acquire()
        self._election = client.election(f"{name}/chair", HANG_SECONDS)
        await self._election.campaign("me")
        self._lease = await client.session(HANG_SECONDS)
        await client.put(f"{name}/leased", lease=self._lease)
        self._watch = await client.watch(f"{name}/beat")
        self._mirror = await client.mirror(f"{name}/")
        await self.beat()

    async def beat(self) -> None:
        """Write something, and see it by the watch; all that was taken is still held."""
        put = await self._client.put(f"{self._name}/beat", "1")
        event = await self._watch.get(HANG_SECONDS)
        assert event.revision == put.header.revision, "the watch has a gap or a repetition"
        assert self._lock.is_held and self._election.is_leader, "a lock or an election is lost"
        assert not self._lease.lost.is_set(), "a lease is lost"

    async def end(self) -> None:
        """Close the client, with all that it holds."""
        await self._client.close()


def _killed_client(number: int, endpoints: list[str], login: dict[str, str]) -> Callable[[], None]:
    """Starts a process with a client, and kills it in the middle of things."""
    shell = SHELLS[number // len(VICTIMS) % len(SHELLS)]

    def start_and_kill() -> None:
        here, there = FORKING.Pipe(duplex=False)
        arguments = (shell, f"leaks/{shell}/killed/{number}", endpoints, login, there)
        process = FORKING.Process(target=_stand_still, args=arguments)
        process.start()
        there.close()
        try:
            here.recv()  # EOFError: it has ended by itself
        finally:
            process.kill()
            process.join()
            process.close()
            here.close()

    return start_and_kill


def _stand_still(
    shell: str, name: str, endpoints: list[str], login: dict[str, str], ready: Connection
) -> None:
    """In a process of its own: take things and keep them, until it is killed."""

    async def hold() -> None:
        with full_pool() as pool:
            own = Shell(shell, endpoints, login, pool, TTL_SECONDS)
            waiting = await lives.in_the_middle(own, own.client(), name)
            ready.send("holds")
            await asyncio.gather(*waiting)

    asyncio.run(hold())


@contextmanager
def _observer(cluster: LocalCluster) -> Iterator[Observer]:
    given: dict[str, Any] = cluster.login(ROOT)
    with Client(cluster.endpoints, **PATIENT, **given) as client:
        yield Observer(client, lambda: [node.pid for node in cluster.running])


def _is_well(before: Counts, after: Counts, clients: int, megabytes: float, say: Say) -> bool:
    """Print the table of a part; whether nothing has leaked."""
    leaked = after.beyond(before, clients)
    say(f"  {'':16}{'before':>10}{'after':>10}")
    for name, then, now in zip(Counts._fields, before, after, strict=True):
        say(f"  {name:16}{then:>10,}{now:>10,}{'   LEAKED' if name in leaked else ''}")
    say(f"  {'megabytes':16}{megabytes:>10.1f}{_megabytes():>10.1f}")
    return not leaked


def _megabytes() -> float:
    """The memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE
