"""Runs a test in an event loop of its own: asyncio's, and uvloop where it is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Final

from tests.limits import HANG_SECONDS

Loop = asyncio.AbstractEventLoop

KINDS: Final = ("asyncio", "uvloop") if find_spec("uvloop") else ("asyncio",)


class Chosen:
    """The kind of loop that `run` makes."""

    kind = "asyncio"


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test in a loop of its own."""

    async def within_the_limit() -> None:
        await asyncio.wait_for(test(), HANG_SECONDS)

    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(within_the_limit())


def _new_loop() -> Loop:
    if Chosen.kind == "asyncio":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


async def turn(seconds: float = 0.0) -> None:
    """Let the loop have its turn, and others theirs."""
    waiting = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(seconds, waiting.set_result, None)
    await waiting


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread does."""
    while not condition():
        await turn(0.001)
