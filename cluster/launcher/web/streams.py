"""PageStreams: what happens, told to each page that is open, from where the page left off.

A stream takes from the tape at its own pace: what a slow page has not read waits nowhere else. It
belongs to the server's event loop.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from cluster.launcher.web.following import PageWatch
from cluster.launcher.web.http import HttpRefusedError, Request, send, stream_event, stream_head
from cluster.launcher.web.keys import Keys, MistakeError, decoded
from cluster.launcher.web.limits import CHUNK_ITEMS_MAX, STREAMS_MAX, TICK_SECONDS
from cluster.launcher.web.tape import Item, Tape

KEY_TEXTS_MAX: Final = 100
"""Texts about watched keys that wait for one page; the oldest are left out."""

Greeting = Callable[[], dict[str, Any]]


class PageStreams:
    """The tape, and the streams that are open."""

    def __init__(self, greeting: Greeting, keys: Keys, changed: Callable[[], None]) -> None:
        self.tape = Tape()
        self._greeting = greeting
        self._keys = keys
        self._changed = changed
        # Numbers begin anew with each launcher: a page must not go on with those of another.
        self._run = secrets.token_hex(4)
        self._streams: set[_Stream] = set()

    @property
    def wants_messages(self) -> bool:
        """Whether a page shows messages between nodes."""
        return any(stream.wants_messages for stream in self._streams)

    def publish(self) -> None:
        """There is more on the tape."""
        for stream in self._streams:
            stream.news.set()

    async def serve(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Tell one page what happens, until it goes.

        Raises HttpRefusedError; ConnectionError or TimeoutError when the page goes.
        """
        if len(self._streams) >= STREAMS_MAX:
            raise HttpRefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE, f"{STREAMS_MAX} pages are open: close one"
            )
        stream = _Stream(writer, request.query("messages") == "1")
        following = self._following(request, stream)
        self._streams.add(stream)
        self._changed()
        try:
            await self._tell(stream, self._left_off(request))
        finally:
            self._streams.discard(stream)
            self._changed()
            if following is not None:
                following.end()

    def _following(self, request: Request, stream: _Stream) -> PageWatch | None:
        if not request.query("watch"):
            return None
        try:
            prefix = decoded(request.query("watch").removeprefix(":"), "watch")
        except MistakeError as error:
            raise HttpRefusedError(HTTPStatus.BAD_REQUEST, str(error)) from None
        loop = asyncio.get_running_loop()

        def tell(text: str) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(stream.hear_of_keys, text)

        return PageWatch(self._keys, prefix, tell)

    def _left_off(self, request: Request) -> int:
        """The number of the last item that the page has; 0 if it has none of this run's."""
        given = request.headers.get("last-event-id") or request.query("since")
        run, _, number = given.partition("-")
        return int(number) if run == self._run and number.isdecimal() else 0

    async def _tell(self, stream: _Stream, number: int) -> None:
        hello = {**self._greeting(), "run": self._run, "after": number, "now": time.monotonic()}
        await stream.send(stream_head() + stream_event("hello", json.dumps(hello)))
        while True:
            stream.news.clear()
            items = self.tape.after(number)
            for first in range(0, len(items), CHUNK_ITEMS_MAX):
                chunk = items[first : first + CHUNK_ITEMS_MAX]
                number = chunk[-1].number
                await stream.send(self._message(chunk))
            for text in stream.take_keys():
                await stream.send(stream_event("keys", text))
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await stream.news.wait()
            except TimeoutError:
                now = json.dumps({"now": time.monotonic()})
                await stream.send(stream_event("tick", now))

    def _message(self, chunk: list[Item]) -> bytes:
        texts = ",".join(item.text for item in chunk)
        data = f'{{"now":{time.monotonic():.4f},"items":[{texts}]}}'
        return stream_event("items", data, f"{self._run}-{chunk[-1].number}")


class _Stream:
    """One page that is told what happens."""

    def __init__(self, writer: asyncio.StreamWriter, wants_messages: bool) -> None:
        self.wants_messages = wants_messages
        self.news = asyncio.Event()
        self._writer = writer
        self._keys: deque[str] = deque(maxlen=KEY_TEXTS_MAX)

    def hear_of_keys(self, text: str) -> None:
        """Keep a text about watched keys until it can be sent."""
        self._keys.append(text)
        self.news.set()

    def take_keys(self) -> list[str]:
        """The texts about watched keys that were not sent."""
        taken = list(self._keys)
        self._keys.clear()
        return taken

    async def send(self, data: bytes) -> None:
        """Send, if the page is there. Raises ConnectionError, TimeoutError."""
        if self._writer.is_closing():
            raise ConnectionResetError("the page has gone")
        await send(self._writer, data)
