"""WebPage: the launcher's page as its main loop has it.

It owns the listening socket, the token, and the thread of the server's event loop. All methods are
for the main loop's thread; what it is told goes to the server without waiting.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from cluster import __version__
from cluster.launcher.layout import LauncherError
from cluster.launcher.ports import LOOPBACK, holder_of
from cluster.launcher.screens.view import ClusterView
from cluster.launcher.story.happenings import Happening
from cluster.launcher.story.journal import Journal
from cluster.launcher.web.calls import Call, Calls
from cluster.launcher.web.guard import Guard
from cluster.launcher.web.items import (
    Sample,
    happening_item,
    messages_item,
    samples_item,
    view_document,
    view_item,
)
from cluster.launcher.web.keys import Keys
from cluster.launcher.web.limits import BATCH_SECONDS
from cluster.launcher.web.routes import Routes
from cluster.launcher.web.server import Server
from cluster.launcher.web.streams import Hub
from cluster.private import create

WEB_PORT: Final = 8379
WEB_PORT_TRIES: Final = 20
"""The page's port, or one of those after it, where no port is asked for."""

TOKEN_FILE: Final = "web-token"
TOKEN_BYTES: Final = 16

JOIN_SECONDS: Final = 10.0

CommandHelp = tuple[str, str, str]
"""A command's name, usage and help."""

_Told = Happening | list[Sample] | tuple[dict[str, Any], float]


class WebPage:
    """Serves the page at `url` until `close`. Raises LauncherError.

    `fd` is readable when there is something in `calls`, or `wants_messages` has changed.
    """

    def __init__(
        self,
        journal: Journal,
        data_dir: Path,
        *,
        port: int | None = None,
        commands: Sequence[CommandHelp] = (),
    ) -> None:
        token = _token_in(data_dir)
        listening = _listen(port)
        guard = Guard(listening.getsockname()[1], token)
        self.url = f"http://{LOOPBACK}:{guard.port}/{token}/"
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.wants_messages = False
        self._commands = [
            dict(zip(("name", "usage", "help"), row, strict=True)) for row in commands
        ]
        self._endpoints: tuple[str, ...] = ()
        self._shown: dict[str, Any] = {}
        self._told: deque[_Told] = deque()
        self._is_announced = False
        self._calls = Calls(self._wake)
        self._keys = Keys(lambda: self._endpoints)
        self._hub = Hub(self._greeting, self._keys, self._notice_streams)
        self._routes = Routes(self._keys, self._calls)
        self._server = Server(listening, guard, self._routes, self._hub)
        self._loop = asyncio.new_event_loop()
        self._serving: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)
        self._thread.start()
        for happening in journal.since(0):
            self._tell(happening)
        self._stop_reading = journal.read_by(self._tell)

    # --- for the main loop ---

    def calls(self) -> list[Call]:
        """The commands that pages have given since the last call; call when `fd` is readable."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.fd)
        return self._calls.take()

    def show(self, view: ClusterView) -> None:
        """Show the present state of the cluster; called a few times a second."""
        document = view_document(view)
        self._endpoints = tuple(
            node.endpoint for node in view.nodes if node.state not in {"removed", "learner"}
        )
        if document != self._shown:
            self._shown = document
            self._tell((document, time.monotonic()))

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
        os.close(self.fd)

    # --- for the server's thread ---

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._serving = self._loop.create_task(self._server.run())
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._serving)
        self._routes.close()
        self._loop.close()

    def _end(self) -> None:
        if self._serving is not None:
            self._serving.cancel()

    def _greeting(self) -> dict[str, Any]:
        return {"version": __version__, "commands": self._commands, "pid": os.getpid()}

    def _notice_streams(self) -> None:
        if self.wants_messages != self._hub.wants_messages:
            self.wants_messages = self._hub.wants_messages
            self._wake()

    def _wake(self) -> None:
        os.eventfd_write(self.fd, 1)

    def _take(self) -> None:
        """Put what was told on the tape, messages that came together as one item."""
        self._is_announced = False
        tape, messages = self._hub.tape, []
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
        self._hub.publish()

    # --- between both ---

    def _tell(self, told: _Told) -> None:
        self._told.append(told)
        if not self._is_announced:
            self._is_announced = True
            self._loop.call_soon_threadsafe(self._loop.call_later, BATCH_SECONDS, self._take)


def _listen(port: int | None) -> socket.socket:
    """A socket that listens at this port, or at a free one near WEB_PORT."""
    tried = range(WEB_PORT, WEB_PORT + WEB_PORT_TRIES) if port is None else [port]
    for number in tried:
        try:
            return socket.create_server((LOOPBACK, number))
        except OSError as error:
            reason = holder_of(number) or f": {error.strerror}"
        except OverflowError:
            raise LauncherError(f"--web {number}: a port is a number up to 65535") from None
    where = f"port {port} is taken" if port is not None else f"ports {WEB_PORT} and on are taken"
    raise LauncherError(f"--web: {where}{reason}")


def _token_in(data_dir: Path) -> str:
    """The token of this data directory: a page that is open finds the next launcher with it."""
    path = data_dir / TOKEN_FILE
    try:
        if not path.exists():
            with create(path) as file:
                file.write(secrets.token_hex(TOKEN_BYTES).encode())
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LauncherError(f"--web: cannot use {path}: {error}") from None
    if not re.fullmatch(f"[0-9a-f]{{{2 * TOKEN_BYTES}}}", token):
        raise LauncherError(f"--web: {path} holds no token: delete it")
    return token
