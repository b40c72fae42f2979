"""Barriers: wait until one is removed, or until enough have come and all have left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from cluster.client import ops
from cluster.client.arguments import at_least_one
from cluster.client.flows.contest import Contest
from cluster.client.flows.deadlines import deadline_in
from cluster.client.flows.lease import Lease
from cluster.client.flows.waiting import Nothing, wait_until
from cluster.client.requests import Key, to_bytes
from cluster.client.results import RangeResult
from cluster.errors import DeadlineExceededError, LeaseholdError, LockTimeoutError

if TYPE_CHECKING:
    from cluster.client.flows.primitives import Primitives


class Barrier:
    """A barrier by name: those who `wait` go on when it is removed. It outlives its creator."""

    def __init__(self, client: Primitives, name: Key) -> None:
        self._client = client
        self._key = to_bytes(name)

    async def create(self) -> bool:
        """Put the barrier up; False when it was up already."""
        txn = self._client.txn().if_(ops.create_revision(self._key) == 0)
        return (await txn.then(ops.put(self._key)).commit()).succeeded

    async def remove(self) -> bool:
        """Take the barrier away and let all go on; False when it was not up."""
        return (await self._client.delete(self._key)).deleted > 0

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until the barrier is not up; False after `timeout` seconds, None for no limit."""

        async def look() -> bool | Nothing:
            found = await self._client.range(self._key)
            return Nothing(found.header.revision) if found else True

        try:
            return await wait_until(self._client, self._key, look, deadline_in(timeout))
        except DeadlineExceededError:
            return False


class DoubleBarrier:
    """A barrier at which `count` participants begin together and end together.

    `enter` returns when all have entered, `leave` when all have left. A participant that dies
    counts as one that has left. A further one waits until the round is over. A name must not begin
    with the name of another recipe and a slash.
    """

    def __init__(
        self, contest: Contest, client: Primitives, count: int, identifier: Key = b""
    ) -> None:
        self._contest = contest
        self._client = client
        self._count = at_least_one("count", count)
        self._identifier = identifier
        self._places = contest.prefix + contest.rules.own
        self._ready = contest.prefix + b"ready"
        self._round = 0

    @property
    def participating(self) -> bool:
        """Whether it has entered, and has not left."""
        return self._round > 0

    async def enter(self, timeout: float | None = None) -> None:
        """Wait until all participants have entered.

        LockTimeoutError after `timeout` seconds (None: it waits without limit): then this one has
        not entered. LeaseLostError when its lease is lost meanwhile.
        """
        if self._round:
            raise RuntimeError("it has entered already: leave first")
        try:
            await self._enter(deadline_in(timeout))
        except BaseException:
            # The others may have left meanwhile: then there is nobody else to end the round.
            await self._contest.see_through(self._end_if_deserted())
            raise

    async def _enter(self, deadline: float | None) -> None:
        async with self._contest.entering() as lease:
            with _in_time():
                await wait_until(
                    self._client, self._contest.prefix, lambda: self._step_in(lease), deadline
                )
                self._round = await wait_until(
                    self._client, self._contest.prefix, self._all_in, deadline, self._contest.held
                )

    async def leave(self, timeout: float | None = None) -> None:
        """Leave, and wait until all participants have left.

        DeadlineExceededError after `timeout` seconds (None: it waits without limit): this one has
        left then all the same. LeaseLostError when its lease was lost before it left.
        """
        if not self._round:
            raise RuntimeError("it has not entered")
        deadline, ends = deadline_in(timeout), self._round
        self._round = 0
        await self._contest.see_through(self._go())

        async def look() -> bool | Nothing:
            found = await self._client.range(self._ready)
            if found and found[0].create_revision == ends and not await self._end_if_deserted():
                return Nothing(found.header.revision)
            return True

        await wait_until(self._client, self._contest.prefix, look, deadline)

    async def __aenter__(self) -> Self:
        await self.enter()
        return self

    async def __aexit__(self, exception_type: type[BaseException] | None, *error: object) -> None:
        if exception_type is None:
            await self.leave()
            return
        # The error of the block must not be hidden, nor wait for the others.
        with suppress(LeaseholdError):
            await self.leave(timeout=0)

    async def _go(self) -> None:
        try:
            await self._contest.leave()
        finally:
            await self._end_if_deserted()

    async def _step_in(self, lease: Lease) -> bool | Nothing:
        """Take a place, unless a round is under way or all places are taken."""
        free = (
            ops.create_revision(self._ready) == 0,
            ops.count(self._places, prefix=True) < self._count,
        )
        if await self._contest.enter(lease, self._identifier, free) is not None:
            return True
        ready = await self._client.range(self._ready)
        if ready and await self._end_if_deserted():
            return await self._step_in(lease)
        return Nothing(ready.header.revision)

    async def _all_in(self) -> int | Nothing:
        """The number of the round, which is the revision at which the last one came."""
        if (why := self._contest.kept.why) is not None:
            raise why
        full = self._client.txn().if_(
            ops.create_revision(self._ready) == 0,
            ops.count(self._places, prefix=True) >= self._count,
        )
        done = await full.then(ops.put(self._ready)).else_(ops.get(self._ready)).commit()
        if done.succeeded:
            return done.header.revision
        (ready,) = done.responses
        assert isinstance(ready, RangeResult), "a get is answered by a range"
        return ready[0].create_revision if ready else Nothing(done.header.revision)

    async def _end_if_deserted(self) -> bool:
        """End the round if its participants are all gone; whether they are.

        The last one to leave ends the round. If it dies before that, whoever comes by does it.
        """
        deserted = self._client.txn().if_(ops.count(self._places, prefix=True) == 0)
        return (await deserted.then(ops.delete(self._ready)).commit()).succeeded


@contextmanager
def _in_time() -> Iterator[None]:
    """Within the block, a wait that is not over in time is a LockTimeoutError."""
    try:
        yield
    except DeadlineExceededError as error:
        raise LockTimeoutError("not in time: not all have entered") from error
