"""How a flow becomes a method that blocks: with the flow's name, parameters and documentation.

An object of the threaded client stands before its twin, an object whose methods are flows. So each
method is written once, as a flow, and named in a class of the threaded client once.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from types import FunctionType
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    Generic,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    cast,
    overload,
)

from cluster.client.flows.openable import Openable, Opened

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

P = ParamSpec("P")
T = TypeVar("T")
Twin_co = TypeVar("Twin_co", covariant=True)
Flow = TypeVar("Flow")
OpenedT = TypeVar("OpenedT", bound="_Stream")
Front = TypeVar("Front")
OpenT = TypeVar("OpenT", bound=Opened)

ASYNC_WORDS: Final = re.compile(r"\b(?:await|async) ")
"""What a text about a flow says more than one about the method that blocks."""

AWAITED_FIRST: Final = re.compile(
    r"(?<![\w)])\((await (?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)(?=\.)"
)
"""What is awaited in parentheses, so that the rest can be done with the result."""


class _Stream(Protocol):
    def __anext__(self) -> Coroutine[Any, Any, Any]: ...

    def __aexit__(
        self, exception_type: type[BaseException] | None, *error: object
    ) -> Coroutine[Any, Any, None]: ...


class Blocking(Generic[Twin_co]):
    """An object of the threaded client, before its twin."""

    def __init__(self, flow: Twin_co, /) -> None:
        self._flow = flow


class BlockingStream(Blocking[OpenedT], Iterator[T]):
    """An iterator of the threaded client, before its twin."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        try:
            return cast("T", finish(self._flow.__anext__()))
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, exception_type: type[BaseException] | None, *error: object) -> None:
        finish(self._flow.__aexit__(exception_type, *error))


def going_through(items: AsyncIterator[T]) -> Iterator[T]:
    """The items of an asynchronous iterator of the twin."""
    while True:
        try:
            # Written as a coroutine, like all that waits in a flow.
            yield finish(cast("Coroutine[Any, Any, T]", items.__anext__()))
        except StopAsyncIteration:
            return


def finish(flow: Coroutine[Any, Any, T]) -> T:
    """Run a flow of a threaded client to its end."""
    try:
        flow.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    flow.close()
    raise AssertionError("a flow of a threaded client blocks where it waits: it never suspends")


def synchronous(text: str | None) -> str | None:
    """The documentation of a flow as that of a method that blocks."""
    return None if text is None else ASYNC_WORDS.sub("", AWAITED_FIRST.sub(r"\1", text))


def twin_of(thing: Any) -> Any:
    """The twin of an argument that has one, else the argument itself."""
    return thing._flow if isinstance(thing, Blocking) else thing


def blocking(
    flow: Callable[Concatenate[Flow, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Blocking[Flow], P], T]:
    """The method that runs a flow of the twin to its end."""

    def method(self: Blocking[Flow], /, *arguments: P.args, **options: P.kwargs) -> T:
        return finish(flow(self._flow, *arguments, **options))

    return _like(flow, method)


def direct(
    function: Callable[Concatenate[Flow, P], T],
) -> Callable[Concatenate[Blocking[Flow], P], T]:
    """The method that calls one of the twin that does not wait for anything."""

    def method(self: Blocking[Flow], /, *arguments: P.args, **options: P.kwargs) -> T:
        return function(self._flow, *arguments, **options)

    return _like(function, method)


def made(
    make: Callable[Concatenate[Any, P], Any], front: Callable[[Any], Front]
) -> Callable[Concatenate[Any, P], Front]:
    """The method that has the twin make an object, and puts `front` before that.

    An object that must be opened is opened at once. A lease among the arguments is given to the
    twin as its own twin.
    """

    def method(self: Any, /, *arguments: P.args, **options: P.kwargs) -> Front:
        if "lease" in options:
            options["lease"] = twin_of(options["lease"])
        twin = make(self._flow, *arguments, **options)
        return front(finish(twin.open()) if isinstance(twin, Openable) else twin)

    return _like(_returning(make, front), method)


@overload
def fronted(
    make: Callable[Concatenate[Flow, P], Openable[OpenT]],
) -> Callable[[Callable[[OpenT], Front]], Callable[Concatenate[Blocking[Flow], P], Front]]: ...


@overload
def fronted(
    make: Callable[Concatenate[Flow, P], T],
) -> Callable[[Callable[[T], Front]], Callable[Concatenate[Blocking[Flow], P], Front]]: ...


def fronted(make: Callable[..., Any]) -> Callable[[Callable[[Any], Any]], Any]:
    """As `made`, for an object whose type depends on that of its client: the function below it puts
    a front before the twin, and says which type that has."""
    return lambda front: made(make, front)


def seen(getter: Callable[[Any], T]) -> T:
    """The property of the twin."""
    of_twin = cast("property", getter)
    assert of_twin.fget is not None, "it can be read"
    read = of_twin.fget
    shown = property(lambda self: read(self._flow), doc=synchronous(of_twin.__doc__))
    return cast("T", shown)


def front_of(getter: Callable[[Any], Any], front: Callable[[Any], Front]) -> Front:
    """The property of the twin, with `front` put before its value."""
    of_twin = cast("property", getter)
    assert of_twin.fget is not None, "it can be read"
    read = of_twin.fget
    shown = property(lambda self: front(read(self._flow)), doc=synchronous(of_twin.__doc__))
    return cast("Front", shown)


def pipelined(
    begin: Callable[Concatenate[Flow, P], asyncio.Future[T]],
) -> Callable[Concatenate[Blocking[Flow], P], Future[T]]:
    """The method of the twin that begins a request. The future is one of the threaded client."""
    return cast("Callable[Concatenate[Blocking[Flow], P], Future[T]]", direct(begin))


def _like(flow: Callable[..., Any], method: Callable[P, T]) -> Callable[P, T]:
    copied = wraps(flow)(method)
    copied.__doc__ = synchronous(flow.__doc__)
    return cast("Callable[P, T]", copied)


def _returning(make: Callable[..., Any], front: Callable[[Any], Any]) -> Callable[..., Any]:
    """A copy of a function that says that it returns `front`: what `help` shows is what a program
    gets, and not the twin of that."""
    assert isinstance(make, FunctionType), "the methods of twins are plain functions"
    copy = FunctionType(make.__code__, make.__globals__, make.__name__, make.__defaults__)
    copy.__kwdefaults__ = make.__kwdefaults__
    copy.__doc__ = make.__doc__
    copy.__module__, copy.__qualname__ = make.__module__, make.__qualname__
    said = front.__name__ if isinstance(front, type) else front.__annotations__["return"]
    copy.__annotations__ = {**make.__annotations__, "return": said}
    return copy
