"""Party: who is there. A member that dies is a member no more when its lease has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Generic, Self

from cluster.client.flows.contest import Contest
from cluster.client.requests import Key
from cluster.client.results import Data, KeyValue

if TYPE_CHECKING:
    from cluster.client.forms import DataForm


class Party(Generic[Data]):
    """The members of a group by name; an object of it may join as one of them.

    A lease holds its membership: a new one each time it joins, or the given one.
    """

    def __init__(self, contest: Contest, form: DataForm[Data], identifier: Key) -> None:
        self._contest = contest
        self._form = form
        self._identifier = identifier

    @property
    def participating(self) -> bool:
        """Whether it has joined, has not left, and has not lost its lease as far as it knows."""
        held = self._contest.held
        return held is not None and not held.lost.is_set()

    async def join(self) -> None:
        """Become a member; nothing happens if it is one."""
        if self.participating:
            return
        if self._contest.held is not None:
            self._contest.let_go()
        async with self._contest.entering() as lease:
            await self._contest.enter(lease, self._identifier)

    async def leave(self) -> None:
        """Be a member no more; LeaseLostError when the membership was lost before."""
        await self._contest.leave()

    async def members(self) -> tuple[KeyValue[Data], ...]:
        """The members in the order in which they joined, with their identifiers as values."""
        return tuple(map(self._form.key_value, await self._contest.contenders()))

    async def __aiter__(self) -> AsyncIterator[Data]:
        """The identifiers of the present members."""
        for member in await self.members():
            yield member.value

    async def __aenter__(self) -> Self:
        await self.join()
        return self

    async def __aexit__(self, exception_type: type[BaseException] | None, *error: object) -> None:
        if self.participating:
            await self.leave()
