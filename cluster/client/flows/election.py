"""Election: one of many candidates leads until it resigns or dies; any client can see which."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, Generic, ParamSpec, Self, TypeVar

from cluster.client.flows.contest import Contest, Holder
from cluster.client.flows.deadlines import deadline_in, left_until
from cluster.client.flows.held_place import QueuePlace
from cluster.client.flows.inherited import INHERITED, Owned
from cluster.client.flows.openable import OpenableStream
from cluster.client.flows.stream import Stream
from cluster.client.ops import put
from cluster.client.requests import Key, to_bytes
from cluster.client.results import Data, Event, KeyValue
from cluster.errors import (
    CompactedError,
    HistoryLostError,
    LeaseholdError,
    NotElectedError,
    WatchCanceledError,
)

if TYPE_CHECKING:
    from cluster.client.flows.caller import Caller
    from cluster.client.flows.primitives import Primitives
    from cluster.client.flows.shell import Turnstile
    from cluster.client.flows.watch import Watch
    from cluster.client.forms import DataForm

P = ParamSpec("P")
T = TypeVar("T")

NOT_LEADER = "election: not leader"
"""etcd's text."""


class Election(Holder[Data]):
    """A candidate, and a view of the leader. All that use the same name, here or through etcd's
    recipe, take part in one election.

    A lease holds the candidacy: a new one of `ttl` seconds for each candidacy, or the given one.
    Use one Election object for each candidate.
    """

    def __init__(
        self, contest: Contest, form: DataForm[Data], client: Primitives, caller: Caller
    ) -> None:
        super().__init__(contest, form)
        self._client = client
        self._caller = caller
        self._leads = False

    async def campaign(self, value: Key = b"", timeout: float | None = None) -> None:
        """Stand for election and wait to be elected; LockTimeoutError after `timeout` seconds, None
        waits without limit.

        `value` tells the others who leads. LeaseLostError when the lease is lost before that. A
        given lease that is a candidate already keeps its place, and leads if it led: so a program
        may go on with the lease that it had before it was restarted.
        """
        if self._contest.held is not None:
            if not self.lost.is_set():
                raise RuntimeError("this is a candidate already: proclaim, or resign first")
            await self._give_up()
        deadline = deadline_in(timeout)
        async with self._contest.entering() as lease:
            found = await self._contest.enter(lease, value)
            assert found is not None, "it stands for election without a condition"
            if found.value != to_bytes(value):
                await self._proclaim(value)
            await self._contest.wait(deadline)
        self._leads = True

    async def proclaim(self, value: Key) -> None:
        """Change the leader's value; NotElectedError when this candidate does not lead."""
        if not self._leads:
            raise NotElectedError(NOT_LEADER)
        try:
            await self._proclaim(value)
        except NotElectedError:
            await self._give_up()
            raise

    async def resign(self) -> None:
        """Give up the lead, so that the next candidate has it; LeaseLostError if it was lost."""
        if not self._leads:
            raise NotElectedError(NOT_LEADER)
        self._leads = False
        await self._contest.leave()

    @property
    def is_leader(self) -> bool:
        """Whether it was elected, and has neither resigned nor lost its place as far as this client
        knows."""
        return self._leads and not self.lost.is_set()

    async def leader(self) -> KeyValue[Data] | None:
        """The leader's key, with what it proclaims as the value; None when nobody leads."""
        first = await self._contest.contenders(limit=1)
        return self._form.key_value(first[0]) if first else None

    async def contenders(self) -> tuple[KeyValue[Data], ...]:
        """The candidates in their order, the leader first, with their values."""
        return tuple(map(self._form.key_value, await self._contest.contenders()))

    async def run(
        self, function: Callable[P, Awaitable[T]], /, *arguments: P.args, **options: P.kwargs
    ) -> T:
        """Wait to be elected, without limit, call a function with the arguments, and resign.

        Returns what the function returned. LeaseLostError when the lead was lost meanwhile: the
        function goes on to its end all the same, so let it look at `lost`, or use `guard`.
        """
        await self.campaign()
        async with self:
            return await function(*arguments, **options)

    def observe(self) -> OpenableStream[Observation[Data], KeyValue[Data]]:
        """Follow the leaders and what they proclaim, from now on."""
        prefix, turnstile = self._contest.prefix, self._caller.shell.turnstile()
        observation = Observation(self._client, self._form, prefix, turnstile)
        return OpenableStream(observation._begin)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, exception_type: type[BaseException] | None, *error: object) -> None:
        """Resign if this candidate leads; an error of the block hides one of the resignation."""
        if not self._leads:
            return
        if exception_type is None:
            await self.resign()
        else:
            await self._give_up()

    async def _give_up(self) -> None:
        """Leave the queue, without errors: the place is lost, or the block has failed."""
        self._leads = False
        with suppress(LeaseholdError):
            await self._contest.leave()

    async def _proclaim(self, value: Key) -> None:
        held = self._contest.kept
        place = held.place
        said = put(place.key, value, lease=held.lease)
        done = await self._client.txn().if_(place.guard()).then(said).commit()
        if not done.succeeded:
            raise NotElectedError(NOT_LEADER)

    @property
    def _place(self) -> QueuePlace:
        if self._contest.held is None or not self._leads:
            raise NotElectedError(NOT_LEADER)
        return self._contest.held.place


class Observation(Stream[KeyValue[Data]], Generic[Data]):
    """The leaders and what they proclaim: an iterator that waits for the next change.

    Its first item is the present leader, if there is one. A time without a leader is not reported.
    It ends after `cancel`, or with the `with` block.
    """

    _called = "observation"

    def __init__(
        self, client: Primitives, form: DataForm[Data], prefix: bytes, turnstile: Turnstile
    ) -> None:
        self._client = client
        self._form = form
        self._prefix = prefix
        self._changes: deque[KeyValue] = deque()
        self._told: KeyValue | None = None
        self._taking = turnstile
        self._is_cancelled = False
        self._process = Owned()
        self._candidates: dict[bytes, KeyValue] = {}
        self._watch: Watch | None = None

    async def _begin(self) -> Self:
        """See who leads now, and follow from there."""
        await self._look_around()
        return self

    def cancel(self) -> None:
        """Stop observing, and release those who wait for a change."""
        self._is_cancelled = True
        if self._watch is not None:
            self._watch.cancel()

    async def _next(self, timeout: float | None) -> KeyValue[Data] | None:
        if self._process.is_inherited:
            raise WatchCanceledError(INHERITED)
        deadline = deadline_in(timeout)
        async with self._taking:
            while not self._changes and not self._is_cancelled:
                assert self._watch is not None, "the observation has begun"
                left = left_until(deadline)
                try:
                    self._follow((await self._watch.batch(left)).events)
                except (CompactedError, HistoryLostError):
                    await self._look_around()
                except WatchCanceledError:
                    if not self._is_cancelled:
                        raise
            if self._is_cancelled:
                self.cancel()
                return None
            return self._form.key_value(self._changes.popleft())

    async def _look_around(self) -> None:
        """Read the present candidates, and watch them from that revision on."""
        while True:
            # If the revision is compacted while it is read, begin again at a newer one.
            with suppress(CompactedError):
                scan = await self._client.scan(self._prefix, prefix=True)
                self._candidates = {kv.key: kv async for kv in scan}
                start = scan.revision + 1
                self._watch = await self._client.watch(
                    self._prefix, prefix=True, start_revision=start
                )
                self._settle()
                return

    def _follow(self, events: tuple[Event, ...]) -> None:
        for _, together in groupby(events, key=lambda event: event.revision):
            for event in together:
                if event.type == "PUT":
                    self._candidates[event.kv.key] = event.kv
                else:
                    self._candidates.pop(event.kv.key, None)
            self._settle()

    def _settle(self) -> None:
        """Report the first candidate of the queue, unless it was the last one reported."""
        candidates = self._candidates.values()
        leader = min(candidates, key=lambda kv: kv.create_revision, default=None)
        if leader is not None and leader != self._told:
            self._told = leader
            self._changes.append(leader)
