"""Software transactional memory: run a function that reads and writes keys as one transaction.

The function's reads are remembered with their revisions, and its writes are kept back. At its end
one transaction writes them if no key that was read has changed; else the function runs again. The
levels of isolation are those of etcd's concurrency package.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from cluster.client import ops
from cluster.client.arguments import at_least_one
from cluster.client.replies import txn_result
from cluster.client.requests import Key, Named, to_bytes
from cluster.client.results import Data, KeyValue, RangeResult, TxnResponse, TxnResult
from cluster.errors import CompactedError, ConflictError

if TYPE_CHECKING:
    from cluster.client.flows.caller import Caller
    from cluster.client.forms import DataForm

T = TypeVar("T")

ATTEMPTS_MAX: Final = 100
BACKOFF_SECONDS: Final = 0.002
BACKOFF_SECONDS_MAX: Final = 0.2


class Isolation(IntEnum):
    """What an stm function is protected from; each level includes the levels above it."""

    READ_COMMITTED = 0
    """It reads committed values, and the same value again for the same key. Nothing is checked."""
    REPEATABLE_READS = 1
    """No key that it has read has changed when it commits."""
    SERIALIZABLE = 2
    """All its reads are of one revision, also those of an attempt that will fail."""
    SERIALIZABLE_SNAPSHOT = 3
    """No other client has put a key that it writes since that revision, read by it or not."""


class _SnapshotGoneError(CompactedError):
    """The revision of an attempt was compacted meanwhile; the next attempt reads at a newer one."""


class _Read(NamedTuple):
    """The key-value that was read for a key (or None), and the store's revision at that moment."""

    kv: KeyValue | None
    revision: int

    @property
    def mod_revision(self) -> int:
        return 0 if self.kv is None else self.kv.mod_revision


class Stm(Generic[Data]):
    """The argument of an stm function: the keys as one attempt sees them, with its own writes.

    It must not be used after the function has returned.
    """

    def __init__(
        self, caller: Caller, form: DataForm[Data], isolation: Isolation, known: dict[bytes, _Read]
    ) -> None:
        self._caller = caller
        self._form = form
        self._isolation = isolation
        self._known = known
        self._snapshot = 0
        if known and isolation >= Isolation.SERIALIZABLE:
            # The last attempt's failed commit has read `known` at one revision: this attempt reads
            # all other keys at it too.
            self._snapshot = next(iter(known.values())).revision
        self._reads: dict[bytes, _Read] = {}
        self._writes: dict[bytes, ops.Op] = {}
        self._values: dict[bytes, bytes | None] = {}

    async def get(self, key: Key) -> Data | None:
        """The value of a key, None when the key does not exist."""
        name = to_bytes(key)
        if name in self._values:
            value = self._values[name]
        else:
            kv = (await self._read(name)).kv
            value = None if kv is None else kv.value
        return None if value is None else self._form.value(name, value)

    def __getitem__(self, key: Key) -> Coroutine[Any, Any, Data | None]:
        return self.get(key)

    async def fetch(self, *keys: Key) -> None:
        """Read several keys in one request, before they are asked for one by one."""
        wanted = dict.fromkeys(map(to_bytes, keys))
        await self._fetch([name for name in wanted if name not in self._reads])

    async def revision(self, key: Key) -> int:
        """The revision that last put a key, 0 when it does not exist; own writes do not count."""
        return (await self._read(to_bytes(key))).mod_revision

    def put(self, key: Key, value: Key = b"", *, lease: int | Named = 0) -> None:
        """Set a key when the transaction commits."""
        name = to_bytes(key)
        self._writes[name] = ops.put(name, value, lease=lease)
        self._values[name] = to_bytes(value)

    def __setitem__(self, key: Key, value: Key) -> None:
        self.put(key, value)

    def delete(self, key: Key) -> None:
        """Delete a key when the transaction commits."""
        name = to_bytes(key)
        self._writes[name] = ops.delete(name)
        self._values[name] = None

    def __delitem__(self, key: Key) -> None:
        self.delete(key)

    # --- reading ---

    async def _read(self, name: bytes) -> _Read:
        if name not in self._reads:
            await self._fetch([name])
        return self._reads[name]

    async def _fetch(self, names: list[bytes]) -> None:
        """Take what the last attempt's commit has read, and read the other keys in one request."""
        for name in names:
            if name in self._known:
                self._reads[name] = self._known[name]
        missing = [name for name in names if name not in self._reads]
        if not missing:
            return
        revision = self._snapshot
        gets = ops.txn().then(*(ops.get(name, revision=revision) for name in missing))
        try:
            found = await self._caller.request(gets.fields(), txn_result)
        except CompactedError as error:
            raise _SnapshotGoneError(error.message) from None
        self._reads |= _reads(missing, found, revision)
        if self._isolation >= Isolation.SERIALIZABLE:
            self._snapshot = self._reads[missing[0]].revision

    # --- the end of an attempt ---

    async def _commit(self) -> dict[bytes, _Read] | None:
        """Commit the writes: None when done, else the present values of the keys that were read."""
        one_revision = self._isolation >= Isolation.SERIALIZABLE or len(self._reads) < 2
        if not self._writes and (one_revision or self._isolation is Isolation.READ_COMMITTED):
            return None  # nothing to write, and the reads are as consistent as the level demands
        again = list(self._reads)
        txn = ops.txn().if_(*self._conditions()).then(*self._writes.values())
        txn.else_(*(ops.get(name) for name in again))
        done = await self._caller.request(txn.fields(), txn_result, write=bool(self._writes))
        return None if done.succeeded else _reads(again, done, 0)

    def _conditions(self) -> list[ops.Compare]:
        conditions = []
        if self._isolation >= Isolation.REPEATABLE_READS:
            for name, read in self._reads.items():
                conditions.append(ops.mod_revision(name) == read.mod_revision)
        if self._isolation >= Isolation.SERIALIZABLE_SNAPSHOT and self._snapshot:
            for name in self._writes.keys() - self._reads.keys():
                conditions.append(ops.mod_revision(name) <= self._snapshot)
        return conditions


async def run(
    caller: Caller,
    form: DataForm[Data],
    function: Callable[[Stm[Data]], Awaitable[T]],
    isolation: Isolation,
    prefetch: Iterable[Key],
    attempts: int,
) -> T:
    """Run the function until an attempt commits, and return what that attempt returned."""
    first = list(prefetch)
    known: dict[bytes, _Read] = {}
    for failures in range(at_least_one("attempts", attempts)):
        if failures > 1:
            # The first repetition starts at once, since it has fresh values. If that fails too,
            # many clients want the same keys: wait for a random time.
            bound = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS * 2.0 ** min(failures, 16))
            await caller.shell.sleep(random.random() * bound)
        attempt = Stm(caller, form, isolation, known)
        try:
            await attempt.fetch(*first)
            result = await function(attempt)
            newer = await attempt._commit()
        except _SnapshotGoneError:
            newer = {}
        else:
            if newer is None:
                return result
        known = newer
    raise ConflictError(f"other writes came in the way in each of {attempts} attempts")


def _reads(names: list[bytes], done: TxnResult, revision: int) -> dict[bytes, _Read]:
    """The results of a transaction with one get for each name."""
    found = zip(names, map(_single, done.responses), strict=True)
    return {name: _Read(kv, revision or done.header.revision) for name, kv in found}


def _single(response: TxnResponse) -> KeyValue | None:
    assert isinstance(response, RangeResult), "a get is answered by a range"
    return response.kvs[0] if response.kvs else None
