"""Stream: the base of iterators whose items come as they happen, until they are cancelled."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Self, TypeVar

from cluster.errors import WatchCanceledError

T = TypeVar("T")


class Stream(Iterator[T]):
    """An iterator that waits for its next item, until `cancel` or the end of the `with` block."""

    called: ClassVar[str]
    """The stream's name in the error after `cancel`."""

    @abstractmethod
    def cancel(self) -> None:
        """End the stream and release the threads that wait for an item. May be repeated."""

    @abstractmethod
    def _next(self, timeout: float | None) -> T | None:
        """The next item, None after `cancel`; DeadlineExceededError after `timeout` seconds."""

    def get(self, timeout: float | None = None) -> T:
        """The next item; DeadlineExceededError (a TimeoutError) after `timeout` seconds.

        WatchCanceledError after `cancel`.
        """
        found = self._next(timeout)
        if found is None:
            raise WatchCanceledError(f"the {self.called} was cancelled")
        return found

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        found = self._next(None)
        if found is None:
            raise StopIteration
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()
