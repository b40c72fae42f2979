"""Openable: what a method returns when the object that it makes must first be opened.

    watch = await client.watch("k")
    async with client.watch("k") as watch: ...
    async for kv in client.scan("k", prefix=True): ...

The threaded client opens it at once and returns the object itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from typing import Any, Generic, Protocol, Self, TypeVar


class Opened(Protocol):
    """An object with an `async with` block."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, exception_type: type[BaseException] | None, *error: object
    ) -> None: ...


O = TypeVar("O", bound=Opened)  # noqa: E741 - the object that is opened
I_co = TypeVar("I_co", covariant=True)


class Openable(Generic[O]):
    """Opens an object when it is awaited, or entered by `async with`. It is used once."""

    def __init__(self, opens: Callable[[], Coroutine[Any, Any, O]]) -> None:
        self._opens = opens
        self._opened: O | None = None

    def open(self) -> Coroutine[Any, Any, O]:
        """The flow that opens the object."""
        return self._opens()

    def __await__(self) -> Generator[Any, Any, O]:
        return self._opens().__await__()

    async def __aenter__(self) -> O:
        self._opened = await self._opens()
        return await self._opened.__aenter__()

    async def __aexit__(self, exception_type: type[BaseException] | None, *error: object) -> None:
        assert self._opened is not None, "the block was entered"
        await self._opened.__aexit__(exception_type, *error)


class OpenedStream(Opened, Protocol[I_co]):
    """An object with an `async with` block, which `async for` goes through."""

    def __aiter__(self) -> AsyncIterator[I_co]: ...


S = TypeVar("S", bound=OpenedStream[Any])


class OpenableStream(Openable[S], Generic[S, I_co]):
    """As Openable; `async for` opens the object, goes through its items, and closes it."""

    async def __aiter__(self) -> AsyncIterator[I_co]:
        async with self as opened:
            async for item in opened:
                yield item
