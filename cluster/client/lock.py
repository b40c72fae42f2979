"""Lock: mutual exclusion among all clients of a cluster, in the order of asking."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from cluster.client.arguments import patience
from cluster.client.contest import Contest, Holder
from cluster.client.inherited import Owned
from cluster.client.requests import Key
from cluster.client.standing import Place
from cluster.errors import LeaseholdError, LockTimeoutError

if TYPE_CHECKING:
    from cluster.client.lease import Lease
    from cluster.client.primitives import Primitives


class Lock(Holder):
    """A lock by name; those who use a name, here or through etcd's recipe, exclude each other.

    Entering a `with` block waits for it without limit. It is held by a lease, so that a client that
    dies gives it up after `ttl` seconds; `lost` is set as soon as it may no longer be held. What is
    written under it is safe even then with `guard()` among the compares of a transaction, or with
    `revision`, which grows with each holder, given along as a fencing token.

    A Lock may be shared by threads and excludes them, too. `name` must not be another lock's name
    with a slash and more behind it.
    """

    def __init__(self, client: Primitives, name: Key, ttl: float, lease: Lease | None) -> None:
        super().__init__(Contest(client, name, ttl, lease))
        self._threads = threading.Lock()
        self._is_held = False
        self._process = Owned()
        # Who has `_threads`: to tell one who waits for itself.
        self._taker: int | None = None

    def acquire(self, timeout: float | None = None) -> None:
        """Wait for the lock; LockTimeoutError after `timeout` seconds.

        LeaseLostError when its lease or its key goes before it is won, and in a forked child whose
        parent holds it by this very object. With a given lease that holds the lock already it
        returns at once.
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
        """Take the lock if nobody has it or waits for it; whether it did."""
        self._refuse_if_inherited()
        if not self._threads.acquire(blocking=False):
            return False
        with self._taking():
            with self._contest.entering() as lease:
                is_first = self._contest.enter_if_first(lease)
            self._is_held = is_first
        return self._is_held

    def release(self) -> None:
        """Give the lock up; LeaseLostError when it had been lost while it was held.

        If the cluster does not answer, the lock ends with its lease: nobody renews that any more.
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
        """Whether it was acquired, not released, and not lost as far as this client can know."""
        return self._is_held and not self.lost.is_set()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, exception_type: type[BaseException] | None, *_: object) -> None:
        if exception_type is None:
            self.release()
            return
        # What went wrong in the block comes first.
        with suppress(LeaseholdError):
            self.release()

    @property
    def _place(self) -> Place:
        if self._contest.standing is None or not self._is_held:
            raise RuntimeError("the lock is not held")
        return self._contest.standing.place

    @contextmanager
    def _taking(self) -> Iterator[None]:
        """Other threads of this client may try again if the block does not take the lock."""
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
        """In a forked child nobody frees what a thread of the parent had taken."""
        if self._process.is_inherited:
            if self._threads.locked():
                self._process.refuse_if_inherited()
            self._process = Owned()
