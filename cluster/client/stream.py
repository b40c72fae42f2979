"""Stream: what comes one by one, as it happens, until whoever takes it cancels it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Self, TypeVar

from cluster.errors import WatchCanceledError

T = TypeVar("T")


class Stream(Iterator[T]):
    """An iterator that waits for the next; it ends after `cancel`, or with the `with` block."""

    called: ClassVar[str]
    """What it is, in the error that says it was cancelled."""

    @abstractmethod
    def cancel(self) -> None:
        """Take no more; whoever waits is released. Doing it again does nothing."""

    @abstractmethod
    def _next(self, timeout: float | None) -> T | None:
        """The next one, waited for so many seconds; None after `cancel`."""

    def get(self, timeout: float | None = None) -> T:
        """The next one; DeadlineExceededError (a TimeoutError) when none comes in time (seconds).

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
