"""Lock: mutual exclusion among all clients of a cluster, in the order in which they asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from cluster.client.flows.contest import Contest, Holder
from cluster.client.flows.deadlines import deadline_in
from cluster.client.flows.held_place import QueuePlace
from cluster.client.flows.inherited import Owned
from cluster.client.requests import Key
from cluster.client.results import Data, KeyValue
from cluster.errors import LeaseholdError, LockTimeoutError

if TYPE_CHECKING:
    from cluster.client.flows.shell import Turnstile
    from cluster.client.forms import DataForm


class Lock(Holder[Data]):
    """A lock by name; all that use the same name, here or through etcd's recipe, share the lock.

    Entering a `with` block waits for the lock without limit. A lease holds it, so a client that
    dies gives it up after `ttl` seconds. `lost` is set as soon as the lock may no longer be held.
    To be safe even then, put `guard()` among the compares of a transaction that writes, or pass
    `revision`, which grows with each holder, to other systems as a fencing token.

    A Lock may be shared by threads or tasks, and excludes them too. No other key may begin with its
    name and a slash, since that is where those who wait for it have their keys.
    """

    def __init__(
        self, contest: Contest, form: DataForm[Data], turnstile: Turnstile, identifier: Key = b""
    ) -> None:
        super().__init__(contest, form)
        self._identifier = identifier
        self._turnstile = turnstile
        self._is_held = False
        self._process = Owned()

    async def acquire(self, timeout: float | None = None) -> None:
        """Wait for the lock; LockTimeoutError after `timeout` seconds, None waits without limit.

        LeaseLostError when its lease or its key is lost before the lock is won, and in a forked
        child whose parent holds the lock by this object. With a given lease that holds the lock
        already, it returns at once.
        """
        self._refuse_if_inherited()
        deadline = deadline_in(timeout)
        if not await self._turnstile.enter(timeout):
            kind = self._turnstile.kind
            own = f"this {kind} holds the lock"
            who = own if self._turnstile.is_own else f"another {kind} of this client has it"
            raise LockTimeoutError(f"not in time: {who}")
        with self._taking():
            async with self._contest.entering() as lease:
                await self._contest.enter(lease, self._identifier)
                await self._contest.wait(deadline)
            self._is_held = True

    async def try_acquire(self) -> bool:
        """Take the lock if nobody has it or waits for it; whether it was taken."""
        self._refuse_if_inherited()
        if not await self._turnstile.enter(0):
            return False
        with self._taking():
            async with self._contest.entering() as lease:
                is_free = await self._contest.enter_if_free(lease, self._identifier)
            self._is_held = is_free
        return self._is_held

    async def release(self) -> None:
        """Give the lock up; LeaseLostError when it was lost while it was held.

        If the cluster does not answer, the lock ends with its lease, which is no longer renewed.
        """
        if not self._is_held:
            raise RuntimeError("release of a lock that is not held")
        self._is_held = False
        try:
            await self._contest.leave()
        finally:
            self._turnstile.leave()

    async def contenders(self) -> tuple[KeyValue[Data], ...]:
        """Those who hold it or wait for it, in their order, with their identifiers as values."""
        return tuple(map(self._form.key_value, await self._contest.contenders()))

    @property
    def is_held(self) -> bool:
        """Whether it was acquired, not released, and not lost as far as this client knows."""
        return self._is_held and not self.lost.is_set()

    async def __aenter__(self) -> Self:
        await self.acquire()
        return self

    async def __aexit__(self, exception_type: type[BaseException] | None, *error: object) -> None:
        if exception_type is None:
            await self.release()
            return
        # The error of the block must not be hidden by one of the release.
        with suppress(LeaseholdError):
            await self.release()

    @property
    def _place(self) -> QueuePlace:
        if self._contest.held is None or not self._is_held:
            raise RuntimeError("the lock is not held")
        return self._contest.held.place

    @contextmanager
    def _taking(self) -> Iterator[None]:
        """Let others who share this object try again if the block does not take the lock."""
        try:
            yield
        finally:
            if not self._is_held:
                self._turnstile.leave()

    def _refuse_if_inherited(self) -> None:
        """In a forked child, refuse a lock that was taken in the parent at the fork.

        Its thread or task does not run in the child: nothing would ever release the lock here.
        """
        if self._process.is_inherited:
            if self._turnstile.is_taken:
                self._process._refuse_if_inherited()
            self._process = Owned()


class Semaphore(Lock[Data]):
    """A lock that up to `max_leases` may hold at a time; the next one is the one who waits longest.

    All that use the same name should give the same `max_leases`. It is used as a Lock is.
    """

    @property
    def max_leases(self) -> int:
        """How many may hold it."""
        return self._contest.rules.seats

    async def lease_holders(self) -> tuple[KeyValue[Data], ...]:
        """Those who hold it, with their identifiers as values."""
        holders = await self._contest.contenders(limit=self.max_leases)
        return tuple(map(self._form.key_value, holders))
