"""PageCalls: command lines from the page to the launcher's main loop, and their outcomes back.

Two threads share it: the server's event loop gives, the main loop takes and answers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

from cluster.launcher.web.http import HttpRefusedError
from cluster.launcher.web.limits import COMMAND_SECONDS_MAX, COMMANDS_WAITING_MAX, SAID_MAX


class CallOutcome(NamedTuple):
    """What became of a command: what was said to the user, and why it was refused, if it was."""

    said: tuple[str, ...]
    error: str


class PageCall:
    """One command line of a page, and who asked. Its methods are for the main loop's thread."""

    via = "page"

    def __init__(self, line: str, page: str, ended: Callable[[CallOutcome], None]) -> None:
        self.line = line
        self.conversation = ("page", page)
        self.is_there = True
        self._said: deque[str] = deque(maxlen=SAID_MAX)
        self._ended = ended

    def say(self, text: str) -> None:
        """Say this to whoever gave the command."""
        self._said.append(text)

    def clear(self) -> None:
        """A page has nothing that a command can empty."""

    def done(self, error: str = "") -> None:
        """The command has ended; `error` says why it was refused. Later calls do nothing."""
        self._ended(CallOutcome(tuple(self._said), error))


class PageCalls:
    """The commands under way. `wake` makes the main loop look; it is called in the event loop."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._waiting: deque[PageCall] = deque()
        self._under_way = 0

    def take(self) -> list[PageCall]:
        """The commands that have come; for the main loop's thread."""
        taken = []
        while self._waiting:
            taken.append(self._waiting.popleft())
        return taken

    async def give(self, line: str, page: str) -> CallOutcome:
        """Have the main loop carry out a command of a page; what became of it.

        `page` tells the pages apart. Raises HttpRefusedError.
        """
        if self._under_way >= COMMANDS_WAITING_MAX:
            raise HttpRefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE, "the launcher has too much to do"
            )
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[CallOutcome] = loop.create_future()

        def end(found: CallOutcome) -> None:
            if not outcome.done():
                outcome.set_result(found)

        def ended(found: CallOutcome) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(end, found)

        call = PageCall(line, page, ended)
        self._under_way += 1
        self._waiting.append(call)
        self._wake()
        try:
            async with asyncio.timeout(COMMAND_SECONDS_MAX):
                return await outcome
        except TimeoutError:
            return CallOutcome((), "there is no outcome yet: the events will tell")
        finally:
            call.is_there = False
            self._under_way -= 1
