"""Lock: mutual exclusion among all clients of a cluster, in the order in which they asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from cluster.client.arguments import patience
from cluster.client.flows.contest import Contest, Holder
from cluster.client.flows.held_place import QueuePlace
from cluster.client.flows.inherited import Owned
from cluster.client.requests import Key
from cluster.errors import LeaseholdError, LockTimeoutError

if TYPE_CHECKING:
    from cluster.client.flows.lease import Lease
    from cluster.client.flows.primitives import Primitives


class Lock(Holder):
    """A lock by name; all that use the same name, here or through etcd's recipe, share the lock.

    Entering a `with` block waits for the lock without limit. A lease holds it, so a client that
    dies gives it up after `ttl` seconds. `lost` is set as soon as the lock may no longer be held.
    To be safe even then, put `guard()` among the compares of a transaction that writes, or pass
    `revision`, which grows with each holder, to other systems as a fencing token.

    A Lock may be shared by threads, and excludes them too. A name must not begin with the name of
    another lock and a slash.
    """

    def __init__(self, client: Primitives, name: Key, ttl: float, lease: Lease | None) -> None:
        super().__init__(Contest(client, name, ttl, lease))
        self._threads = threading.Lock()
        self._is_held = False
        self._process = Owned()
        # The thread that has `_threads`, so that an error can say "this thread".
        self._taker: int | None = None

    def acquire(self, timeout: float | None = None) -> None:
        """Wait for the lock; LockTimeoutError after `timeout` seconds.

        LeaseLostError when its lease or its key is lost before the lock is won, and in a forked
        child whose parent holds the lock by this object. With a given lease that holds the lock
        already, it returns at once.
        """
        patience(timeout)
        self._refuse_if_inherited()
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self._threads.acquire(timeout=-1 if timeout is None else timeout):
            own = self._taker == threading.get_ident()
            who = "this thread holds the lock" if own else "another thread of this client has it"
            raise LockTimeoutError(f"not in time: {who}")
        with self._taking():
            with self._contest.entering() as lease:
                self._contest.enter(lease)
                self._contest.wait(deadline)
            self._is_held = True

    def try_acquire(self) -> bool:
        """Take the lock if nobody has it or waits for it; whether it was taken."""
        self._refuse_if_inherited()
        if not self._threads.acquire(blocking=False):
            return False
        with self._taking():
            with self._contest.entering() as lease:
                is_first = self._contest.enter_if_first(lease)
            self._is_held = is_first
        return self._is_held

    def release(self) -> None:
        """Give the lock up; LeaseLostError when it was lost while it was held.

        If the cluster does not answer, the lock ends with its lease, which is no longer renewed.
        """
        if not self._is_held:
            raise RuntimeError("release of a lock that is not held")
        self._is_held = False
        try:
            self._contest.leave()
        finally:
            self._free()

    @property
    def is_held(self) -> bool:
        """Whether it was acquired, not released, and not lost as far as this client knows."""
        return self._is_held and not self.lost.is_set()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, exception_type: type[BaseException] | None, *_: object) -> None:
        if exception_type is None:
            self.release()
            return
        # The error of the block must not be hidden by one of the release.
        with suppress(LeaseholdError):
            self.release()

    @property
    def _place(self) -> QueuePlace:
        if self._contest.held is None or not self._is_held:
            raise RuntimeError("the lock is not held")
        return self._contest.held.place

    @contextmanager
    def _taking(self) -> Iterator[None]:
        """Let other threads of this client try again if the block does not take the lock."""
        self._taker = threading.get_ident()
        try:
            yield
        finally:
            if not self._is_held:
                self._free()

    def _free(self) -> None:
        self._taker = None
        self._threads.release()

    def _refuse_if_inherited(self) -> None:
        """In a forked child, refuse a lock that a thread of the parent had taken at the fork.

        That thread does not exist in the child, so nothing would ever release the lock here.
        """
        if self._process.is_inherited:
            if self._threads.locked():
                self._process.refuse_if_inherited()
            self._process = Owned()
