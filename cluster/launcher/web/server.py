"""Server: the connections of browsers to the launcher, on loopback, in one event loop.

asyncio and not a thread for each connection: a page holds its stream open for hours, and a page
that reads slowly costs no thread and shows how much it has not read. It refuses to know what a
path means.
"""

from __future__ import annotations

import asyncio
import socket
from http import HTTPStatus
from typing import Final

from cluster.launcher.web.guard import Guard
from cluster.launcher.web.http import HttpRefusedError, Request, read_request, refusal, send
from cluster.launcher.web.limits import BODY_BYTES_MAX, CONNECTIONS_MAX, HEAD_BYTES_MAX
from cluster.launcher.web.routes import Routes
from cluster.launcher.web.streams import PageStreams

STREAM: Final = "/stream"

LINGER_SECONDS: Final = 1.0
"""After a refusal, what still comes of the request is read for this time. A connection that is
closed with unread bytes is reset, and the browser may lose the answer."""


class Server:
    """Answers browsers at a listening socket until `run` is cancelled."""

    def __init__(
        self, listening: socket.socket, guard: Guard, routes: Routes, streams: PageStreams
    ) -> None:
        self._listening = listening
        self._guard = guard
        self._routes = routes
        self._streams = streams
        self._open: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until this is cancelled; then end all connections."""
        server = await asyncio.start_server(self._serve, sock=self._listening, limit=HEAD_BYTES_MAX)
        try:
            await server.serve_forever()
        finally:
            server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._answer_all(reader, writer)
        except (ConnectionError, TimeoutError):
            pass  # the browser has gone, or does not read
        except asyncio.CancelledError:
            pass  # the server ends
        finally:
            self._open.discard(task)
            # What a stopped browser has not read would keep the connection open.
            writer.transport.abort() if _has_unread(writer) else writer.close()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) > 2 * CONNECTIONS_MAX:
            return  # nor is there room to say so
        if len(self._open) > CONNECTIONS_MAX:
            busy = HttpRefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE, "there are too many connections"
            )
            await _refuse(reader, writer, busy)
            return
        while True:
            try:
                request = await read_request(reader)
            except HttpRefusedError as refused:
                await _refuse(reader, writer, refused)
                return
            if request is None:
                return
            if not await self._answer(request, writer):
                return

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection can have another."""
        try:
            path = self._guard.path_of(request.method, request.target, request.headers)
            if request.method == "GET" and path == STREAM:
                await self._streams.serve(request, writer)
                return False
            answer = await self._routes.answer(path, request)
        except HttpRefusedError as refused:
            answer = refusal(refused, closes=False)
        await send(writer, answer)
        return not request.is_last


async def _refuse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, refused: HttpRefusedError
) -> None:
    await send(writer, refusal(refused, closes=True))
    writer.write_eof()
    left = 4 * BODY_BYTES_MAX
    async with asyncio.timeout(LINGER_SECONDS):
        while left > 0 and (data := await reader.read(BODY_BYTES_MAX)):
            left -= len(data)


def _has_unread(writer: asyncio.StreamWriter) -> bool:
    return writer.transport.get_write_buffer_size() > 0
