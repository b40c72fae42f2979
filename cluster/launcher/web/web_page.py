"""WebPage: the launcher's page as its main loop has it, a part of that loop.

It owns the thread of the server's event loop. All methods are for the main loop's thread; what it
is told goes to the server without waiting.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from cluster import __version__
from cluster.client.waker import Waker
from cluster.launcher.ports import LOOPBACK
from cluster.launcher.probing.prober import Sample
from cluster.launcher.screens.view import ClusterView
from cluster.launcher.story.happenings import EXPLAINED, Happening
from cluster.launcher.story.journal import Journal
from cluster.launcher.web.address import listen, token_in
from cluster.launcher.web.calls import PageCall, PageCalls
from cluster.launcher.web.guard import Guard
from cluster.launcher.web.items import (
    happening_item,
    messages_item,
    samples_item,
    view_document,
    view_item,
)
from cluster.launcher.web.keys import Keys
from cluster.launcher.web.limits import BATCH_SECONDS, SHOW_SECONDS
from cluster.launcher.web.routes import Routes
from cluster.launcher.web.server import Server
from cluster.launcher.web.streams import PageStreams

JOIN_SECONDS: Final = 10.0

CommandHelp = tuple[str, str, str]
"""A command's name, usage and help."""

_Told = Happening | list[Sample] | tuple[dict[str, Any], float]


class Launcher(NamedTuple):
    """What a page needs of its launcher: the main loop's functions, called in its thread."""

    obey: Callable[[str, PageCall], None]
    """Do a command; the call hears what becomes of it."""
    view: Callable[[float], ClusterView]
    """The cluster as it is at a moment."""
    record: Callable[[bool], None]
    """Have the nodes tell of the messages between them, or not."""
    commands: Sequence[CommandHelp] = ()
    endpoints: Callable[[], Sequence[str]] = list
    """Where the page's client asks the cluster."""
    key_file: str = ""
    """That client's key, where endpoints name the keys of nodes."""


class WebPage:
    """Serves the page at `url` until `close`. Raises LauncherError."""

    def __init__(
        self, journal: Journal, data_dir: Path, launcher: Launcher, port: int | None = None
    ) -> None:
        token = token_in(data_dir)
        self._listening = listening = listen(port)
        guard = Guard(listening.getsockname()[1], token)
        self.url = f"http://{LOOPBACK}:{guard.port}/{token}/"
        self.due = 0.0
        self._waker = Waker()
        self._launcher = launcher
        self._records = False
        self._endpoints: tuple[str, ...] = ()
        self._shown: dict[str, Any] = {}
        self._told: deque[_Told] = deque()
        self._is_announced = False
        self._calls = PageCalls(self._waker.wake)
        self._keys = Keys(lambda: self._endpoints, launcher.key_file)
        self._streams = PageStreams(self._greeting, self._keys, self._waker.wake)
        self._routes = Routes(self._keys, self._calls)
        self._server = Server(listening, guard, self._routes, self._streams)
        self._loop = asyncio.new_event_loop()
        self._serving: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)
        self._thread.start()
        for happening in journal.since(0):
            self._tell(happening)
        self._stop_reading = journal.read_by(self._tell)

    # --- for the main loop ---

    def fds(self) -> Iterable[int]:
        """Readable when pages have given commands, or have come or gone."""
        return (self._waker.fd,)

    def serve(self, ready: Set[int], now: float) -> None:
        """Carry out what pages have asked for, and show them the cluster when that is due."""
        if self._waker.fd in ready:
            self._waker.clear()
            for call in self._calls.take():
                self._launcher.obey(call.line, call)
            if self._records != self._streams.wants_messages:
                self._records = not self._records
                self._launcher.record(self._records)
        if now >= self.due:
            self.due = now + SHOW_SECONDS
            self._show(self._launcher.view(now), now)

    def samples(self, samples: Sequence[Sample]) -> None:
        """Show what became of requests of the probe client."""
        if samples:
            self._tell(list(samples))

    def close(self) -> None:
        """End the server and its thread. Pages say that their launcher is gone."""
        self._stop_reading()
        # Waits for no request: those end with the cluster, or with their connections.
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(JOIN_SECONDS)
        self._keys.close()
        self._waker.close()

    def _show(self, view: ClusterView, now: float) -> None:
        document = view_document(view)
        self._endpoints = tuple(self._launcher.endpoints())
        if document != self._shown:
            self._shown = document
            self._tell((document, now))

    # --- for the server's thread ---

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._serving = self._loop.create_task(self._server.run())
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._serving)
        self._listening.close()  # also if the task has never begun
        self._routes.close()
        self._loop.close()

    def _end(self) -> None:
        if self._serving is not None:
            self._serving.cancel()

    def _greeting(self) -> dict[str, Any]:
        commands = [
            {"name": name, "usage": usage, "help": text}
            for name, usage, text in self._launcher.commands
        ]
        return {
            "version": __version__,
            "pid": os.getpid(),
            "commands": commands,
            "explained": sorted(EXPLAINED),
        }

    def _take(self) -> None:
        """Put what was told on the tape, messages that came together as one item."""
        self._is_announced = False
        tape, messages = self._streams.tape, []
        while self._told:
            told = self._told.popleft()
            if isinstance(told, Happening) and told.kind == "message":
                messages.append(told)
            elif isinstance(told, Happening):
                tape.add("happenings", happening_item(told))
            elif isinstance(told, list):
                tape.add("passing", samples_item(told))
            else:
                tape.add("views", view_item(*told))
        if messages:
            tape.add("passing", messages_item(messages))
        self._streams.publish()

    # --- between both ---

    def _tell(self, told: _Told) -> None:
        self._told.append(told)
        if not self._is_announced:
            self._is_announced = True
            self._loop.call_soon_threadsafe(self._loop.call_later, BATCH_SECONDS, self._take)
