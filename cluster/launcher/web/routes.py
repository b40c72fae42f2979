"""Routes: which path means what. What a browser asks is done here or handed on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from cluster.launcher.web.calls import PageCalls
from cluster.launcher.web.http import HttpRefusedError, Request, answer, answer_json
from cluster.launcher.web.keys import Keys, MistakeError, decoded, outcome_of, ttl_of

PAGE: Final = Path(__file__).with_name("page")

TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""The kinds of files that the page consists of."""

KEY_THREADS: Final = 4
"""Requests of key browsers that wait for the cluster at a time."""

PAGE_NAME_MAX: Final = 64
"""Characters of the name by which a page tells its commands from those of other pages."""

Work = Callable[[], dict[str, Any]]


class Routes:
    """The answers to all requests but streams. Belongs to the server's event loop."""

    def __init__(self, keys: Keys, calls: PageCalls) -> None:
        self._keys = keys
        self._calls = calls
        self._threads = ThreadPoolExecutor(KEY_THREADS, thread_name_prefix="page-keys")
        self._files = {
            f"/{path.name}": (path.read_bytes(), TYPES[path.suffix])
            for path in PAGE.iterdir()
            if path.suffix in TYPES
        }

    async def answer(self, path: str, request: Request) -> bytes:
        """The whole answer to a request. Raises HttpRefusedError."""
        match request.method, path:
            case "GET", "/keys":
                prefix = request.query("prefix")
                return await self._asked(lambda: self._keys.range(decoded(prefix, "prefix")))
            case "GET", "/leases":
                return await self._asked(self._keys.leases)
            case "POST", "/command":
                return await self._command(request)
            case "POST", "/keys/put":
                fields = request.fields()
                return await self._asked(lambda: self._put(fields))
            case "POST", "/keys/delete":
                fields = request.fields()
                return await self._asked(lambda: self._keys.delete(_bytes(fields, "key")))
            case "GET", _:
                return self._file(path)
            case _:
                raise HttpRefusedError(
                    HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not for {path}"
                )

    def close(self) -> None:
        """Take no more work for threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _file(self, path: str) -> bytes:
        found = self._files.get("/index.html" if path == "/" else path)
        if found is None:
            raise HttpRefusedError(HTTPStatus.NOT_FOUND, f"there is no {path} here")
        return answer(HTTPStatus.OK, *found)

    async def _command(self, request: Request) -> bytes:
        fields = request.fields()
        line, page = fields.get("line"), fields.get("page", "")
        if not isinstance(line, str) or not line.strip() or "\n" in line or "\r" in line:
            raise HttpRefusedError(HTTPStatus.BAD_REQUEST, 'the body must be {"line": one command}')
        if not isinstance(page, str) or len(page) > PAGE_NAME_MAX:
            raise HttpRefusedError(
                HTTPStatus.BAD_REQUEST, f"page is a text of {PAGE_NAME_MAX} characters at most"
            )
        outcome = await self._calls.give(line, page)
        return answer_json({"said": outcome.said, "error": outcome.error})

    def _put(self, fields: dict[str, Any]) -> dict[str, Any]:
        key = _bytes(fields, "key")
        if not key:
            raise MistakeError("a key has at least one byte")
        return self._keys.put(key, _bytes(fields, "value"), ttl_of(fields))

    async def _asked(self, work: Work) -> bytes:
        """Ask the cluster in a thread; what it refuses is an answer, too."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, outcome_of, work)
        except MistakeError as error:
            return answer_json({"failed": str(error)})
        return answer_json(found)


def _bytes(fields: dict[str, Any], name: str) -> bytes:
    """The bytes in a field, none if it is missing. Raises MistakeError."""
    return decoded(fields.get(name, ""), name)
