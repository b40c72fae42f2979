"""Recipes: what a client makes of keys, leases and watches for several programs to agree by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from cluster.client.arguments import at_least_one
from cluster.client.flows.barrier import Barrier, DoubleBarrier
from cluster.client.flows.contest import PLAIN, Contest, Rules
from cluster.client.flows.counter import Counter
from cluster.client.flows.election import Election
from cluster.client.flows.lease import Lease
from cluster.client.flows.lock import Lock, Semaphore
from cluster.client.flows.locking_queue import LockingQueue
from cluster.client.flows.openable import Openable
from cluster.client.flows.partitioner import Partitioner
from cluster.client.flows.party import Party
from cluster.client.flows.primitives import Primitives
from cluster.client.flows.queues import PriorityQueue, Queue
from cluster.client.requests import Key, Named
from cluster.client.results import Data

SESSION_TTL_SECONDS: Final = 10.0
"""How long others wait for what a dead client held. A third of it is the time between renewals, so
a fail-over, and a pause of six seconds, lose nothing."""

READER: Final = Rules(own=b"read/", rivals=b"write/")
WRITER: Final = Rules(own=b"write/")


class RecipeApi(Primitives[Data]):
    """Sessions, locks, elections, barriers, queues and groups.

    What is held is held by a lease: one of its own of `ttl` seconds, or the given `lease`. It is
    kept alive; when the client dies, others get their turn `ttl` seconds later. An `identifier`
    tells others who it is that holds or waits.
    """

    def session(self, ttl: float = SESSION_TTL_SECONDS) -> Openable[Lease[Data]]:
        """A lease that is kept alive, for several locks, elections and keys; `revoke` it to end.

        >>> async with client.session(ttl=10) as lease:
        ...     put = await client.put("nodes/me", "here", lease=lease)
        ...     await client.get("nodes/me") is None
        False
        >>> await client.get("nodes/me") is None
        True
        """
        granting = self.lease.grant(ttl)

        async def keep() -> Lease[Data]:
            return (await granting).keep_alive()

        return Openable(keep)

    def lock(
        self,
        name: Key,
        ttl: float = SESSION_TTL_SECONDS,
        *,
        lease: Named | None = None,
        identifier: Key = b"",
    ) -> Lock[Data]:
        """A lock that excludes all others of this name, in any client.

        >>> async with client.lock("job") as lock:
        ...     write = client.txn().if_(lock.guard()).then(ops.put("result", "7"))
        ...     (await write.commit()).succeeded
        True
        """
        contest = self._contest(name, ttl, lease, PLAIN)
        return Lock(contest, self._form, self._caller.shell.turnstile(), identifier)

    def read_lock(
        self,
        name: Key,
        ttl: float = SESSION_TTL_SECONDS,
        *,
        lease: Named | None = None,
        identifier: Key = b"",
    ) -> Lock[Data]:
        """A lock that readers share, and that excludes the `write_lock` of this name.

        It waits for the writers that came before it, so writers do not starve.

        >>> async with client.read_lock("table"), client.read_lock("table"):
        ...     await client.write_lock("table").try_acquire()
        False
        """
        contest = self._contest(name, ttl, lease, READER)
        return Lock(contest, self._form, self._caller.shell.turnstile(), identifier)

    def write_lock(
        self,
        name: Key,
        ttl: float = SESSION_TTL_SECONDS,
        *,
        lease: Named | None = None,
        identifier: Key = b"",
    ) -> Lock[Data]:
        """A lock that excludes all other readers and writers of this name."""
        contest = self._contest(name, ttl, lease, WRITER)
        return Lock(contest, self._form, self._caller.shell.turnstile(), identifier)

    def semaphore(
        self,
        name: Key,
        max_leases: int = 1,
        ttl: float = SESSION_TTL_SECONDS,
        *,
        lease: Named | None = None,
        identifier: Key = b"",
    ) -> Semaphore[Data]:
        """A lock that up to `max_leases` may hold at a time.

        >>> async with client.semaphore("printers", 2), client.semaphore("printers", 2):
        ...     await client.semaphore("printers", 2).try_acquire()
        False
        """
        rules = Rules(seats=at_least_one("max_leases", max_leases))
        contest = self._contest(name, ttl, lease, rules)
        return Semaphore(contest, self._form, self._caller.shell.turnstile(), identifier)

    def election(
        self, name: Key, ttl: float = SESSION_TTL_SECONDS, *, lease: Named | None = None
    ) -> Election[Data]:
        """An election: to `campaign` in, or to see its `leader`.

        >>> async with client.election("chair") as election:
        ...     await election.campaign("me")
        ...     (await election.leader()).value
        b'me'
        """
        contest = self._contest(name, ttl, lease, PLAIN)
        return Election(contest, self._form, self._plain, self._caller)

    def barrier(self, name: Key) -> Barrier:
        """A barrier that one client puts up and removes, and others wait at.

        >>> barrier = client.barrier("maintenance")
        >>> await barrier.create()
        True
        >>> await barrier.wait(timeout=0.01)
        False
        >>> await barrier.remove()
        True
        """
        return Barrier(self._plain, name)

    def double_barrier(
        self,
        name: Key,
        count: int,
        ttl: float = SESSION_TTL_SECONDS,
        *,
        lease: Named | None = None,
        identifier: Key = b"",
    ) -> DoubleBarrier:
        """A barrier at which `count` participants begin together and end together.

        >>> async with client.double_barrier("alone", 1) as barrier:
        ...     barrier.participating
        True
        """
        contest = self._contest(name, ttl, lease, Rules(own=b"waiters/"))
        return DoubleBarrier(contest, self._plain, count, identifier)

    def counter(self, name: Key, default: int = 0) -> Counter:
        """A number that all clients count with.

        >>> counter = client.counter("jobs", default=100)
        >>> await counter.add(5)
        105
        >>> await counter.value
        105
        """
        return Counter(self._plain, name, default)

    def queue(self, name: Key) -> Queue[Data]:
        """A queue of values, each of which is got once.

        >>> queue = client.queue("mail")
        >>> await queue.put("first")
        >>> await queue.get(timeout=10)
        b'first'
        >>> await queue.try_get() is None
        True
        """
        return Queue(self._plain, self._caller, self._form, name)

    def priority_queue(self, name: Key) -> PriorityQueue[Data]:
        """A queue of values with priorities, each of which is got once.

        >>> queue = client.priority_queue("jobs")
        >>> await queue.put("later")
        >>> await queue.put("sooner", priority=1)
        >>> await queue.get(timeout=10)
        b'sooner'
        """
        return PriorityQueue(self._plain, self._caller, self._form, name)

    def locking_queue(
        self, name: Key, ttl: float = SESSION_TTL_SECONDS, *, lease: Named | None = None
    ) -> LockingQueue[Data]:
        """A queue of values, each of which comes back unless its holder says that it is done.

        >>> async with client.locking_queue("jobs") as queue:
        ...     await queue.put("job")
        ...     await queue.get(timeout=10)
        ...     await queue.consume()
        ...     await queue.size()
        b'job'
        0
        """
        return LockingQueue(self._plain, self._caller, self._form, name, ttl, lease)

    def party(
        self,
        name: Key,
        identifier: Key = b"",
        ttl: float = SESSION_TTL_SECONDS,
        *,
        lease: Named | None = None,
    ) -> Party[Data]:
        """A group: to `join`, or to see its members.

        >>> async with client.party("workers", "me") as party:
        ...     [kv.value for kv in await party.members()]
        [b'me']
        """
        return Party(self._contest(name, ttl, lease, PLAIN), self._form, identifier)

    def partitioner(
        self,
        name: Key,
        items: Iterable[Key],
        identifier: Key = b"",
        ttl: float = SESSION_TTL_SECONDS,
        *,
        lease: Named | None = None,
    ) -> Partitioner[Data]:
        """A worker's share of a set of items, which are divided among the workers of this name.

        >>> async with client.partitioner("shards", ["a", "b"]) as share:
        ...     if await share.wait_for_acquire(timeout=10):
        ...         list(share)
        [b'a', b'b']
        """
        contest = self._contest(name, ttl, lease, Rules(own=b"workers/"))
        return Partitioner(contest, self._plain, self._caller, self._form, items, identifier)

    def _contest(self, name: Key, ttl: float, lease: Named | None, rules: Rules) -> Contest:
        return Contest(self._plain, self._caller, name, ttl, lease, rules)
