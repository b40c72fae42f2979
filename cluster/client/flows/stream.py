"""Stream: the base of iterators whose items come as they happen, until they are cancelled."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import ClassVar, Self, TypeVar

from cluster.errors import WatchCanceledError

T = TypeVar("T")


class Stream(AsyncIterator[T]):
    """An iterator that waits for its next item, until `cancel` or the end of the `with` block."""

    _called: ClassVar[str]
    """The stream's name in the error after `cancel`."""

    @abstractmethod
    def cancel(self) -> None:
        """End the stream and release those who wait for an item. May be repeated."""

    @abstractmethod
    async def _next(self, timeout: float | None) -> T | None:
        """The next item, None after `cancel`; DeadlineExceededError after `timeout` seconds."""

    async def get(self, timeout: float | None = None) -> T:
        """The next item; DeadlineExceededError (a TimeoutError) after `timeout` seconds.

        Without a `timeout` it may wait for ever. WatchCanceledError after `cancel`.
        """
        found = await self._next(timeout)
        if found is None:
            raise WatchCanceledError(f"the {self._called} was cancelled")
        return found

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        found = await self._next(None)
        if found is None:
            raise StopAsyncIteration
        return found

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, exception_type: type[BaseException] | None, *error: object) -> None:
        self.cancel()
