"""The lock of python-etcd3: one key, which the holder creates under a lease.

Programs that use python-etcd3 itself, beside this, take the same locks. `cluster.Client.lock` is
the better one: it is fair, and keeps itself alive.
"""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from typing import ClassVar, Final, Self

from cluster.compat.etcd3.etcdrpc import FilterType, LeaseKeepAliveResponse, ResponseOp
from cluster.compat.etcd3.exceptions import (
    Etcd3Exception,
    LockTimedOut,
    RevisionCompactedError,
    WatchTimedOut,
)
from cluster.compat.etcd3.keys import KeyCalls
from cluster.compat.etcd3.leases import Lease, LeaseCalls
from cluster.compat.etcd3.transactions import Create, Delete, Get, Put, Value
from cluster.compat.etcd3.watch import WatchCalls

ACQUIRE_SECONDS: Final = 10.0
"""How long `acquire` waits if it is not told, and a `with` block."""


class LockCalls(KeyCalls, LeaseCalls, WatchCalls):
    """The calls that a lock needs, and those for locks."""

    def lock(self, name: str | bytes, ttl: float = 60) -> Lock:
        """A lock by name, which ends `ttl` seconds after it was acquired or refreshed."""
        return Lock(name, ttl, self)


class Lock:
    """A lock by name. `revision`, that of its key, is a fencing token: it grows with each holder.

    Entering a `with` block waits for ten seconds, and raises LockTimedOut after that.
    """

    lock_prefix: ClassVar = "/locks/"

    def __init__(self, name: str | bytes, ttl: float = 60, etcd_client: LockCalls | None = None):
        if etcd_client is None:
            raise TypeError("a lock needs a client: client.lock(name) gives it one")
        self.name = name
        self.ttl = ttl
        self.etcd_client = etcd_client
        prefix = self.lock_prefix
        self.key = prefix.encode() + name if isinstance(name, bytes) else prefix + name
        self.lease: Lease | None = None
        self.revision = 0
        self.uuid = uuid.uuid4().bytes

    def acquire(self, timeout: float | None = ACQUIRE_SECONDS) -> bool:
        """Wait for the lock, at most `timeout` seconds, None without limit; whether it was won.

        It excludes those who share this object, too: it is not won while it is held.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (holder := self._try()) is not None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            # With a new lease each time: one that waits would end before it is of use.
            with suppress(WatchTimedOut, RevisionCompactedError):
                deletions = [FilterType.NOPUT]
                self.etcd_client.watch_once(
                    self.key, left, start_revision=holder + 1, filters=deletions
                )
        return True

    def release(self) -> bool:
        """Give the lock up; whether it was held."""
        is_mine = Value(self.key) == self.uuid
        was_held, _ = self.etcd_client.transaction([is_mine], [Delete(self.key)])
        lease, self.lease = self.lease, None
        _revoke(lease)
        return was_held

    def refresh(self) -> list[LeaseKeepAliveResponse]:
        """Let the lock last for another `ttl` seconds; ValueError if it was never acquired."""
        if self.lease is None:
            raise ValueError("the lock was not acquired, so it has no lease to refresh")
        return self.lease.refresh()

    def is_acquired(self) -> bool:
        """Whether the lock is held by this object."""
        value, _ = self.etcd_client.get(self.key)
        return value == self.uuid

    def _try(self) -> int | None:
        """Take the lock if it is free; None, or the revision since which another one has it."""
        lease = self.etcd_client.lease(self.ttl)
        try:
            is_won, (answer,) = self.etcd_client.transaction(
                [Create(self.key) == 0],
                [Put(self.key, self.uuid, lease)],
                [Get(self.key)],
            )
        except BaseException:
            with suppress(Etcd3Exception):
                lease.revoke()
            raise
        if is_won:
            assert isinstance(answer, ResponseOp) and answer.response_put is not None
            self.lease, self.revision = lease, answer.response_put.header.revision
            return None
        _revoke(lease)
        assert isinstance(answer, list), "a read was asked for"
        ((_, holder),) = answer
        return holder.mod_revision

    def __enter__(self) -> Self:
        if not self.acquire(ACQUIRE_SECONDS):
            raise LockTimedOut(f"the lock {self.name!r} is not free")
        return self

    def __exit__(self, exception_type: type[BaseException] | None, *error: object) -> None:
        if exception_type is None:
            self.release()
            return
        # The error of the block must not be hidden by one of the release.
        with suppress(Etcd3Exception):
            self.release()


def _revoke(lease: Lease | None) -> None:
    """End a lease that nobody needs; it would end by itself."""
    if lease is not None:
        with suppress(Etcd3Exception):
            lease.revoke()
