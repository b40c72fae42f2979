"""A path that is written in another way than its own: etcd's web server sends the client there.

Owns what a clean path is. Refuses to know what the paths mean, but for the folder of the gateway.
"""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from posixpath import normpath
from typing import Final
from urllib.parse import quote

from cluster.etcd.web.exchange import Exchange

HTML: Final = "text/html; charset=utf-8"
FOLDER: Final = "/v3"
"""The one folder that is also asked for without its slash."""


def maybe_redirect(exchange: Exchange) -> bool:
    """Answer with the clean path, if that is another one; whether it is.

    The path that was asked for is decoded, and may hold line breaks: it goes out encoded.
    """
    path = exchange.request.path
    clean = cleaned(path)
    if clean == path:
        return False
    location = quote(clean)
    query = exchange.request.target.partition("?")[2]
    headers = (("Location", f"{location}?{query}" if query else location),)
    status = HTTPStatus.MOVED_PERMANENTLY
    if exchange.request.method in ("GET", "HEAD"):
        body = f'<a href="{escape(headers[0][1])}">{status.phrase}</a>.\n\n'
        exchange.answer(status, body.encode(), HTML, headers)
    else:
        exchange.answer(status, b"", "", headers)
    return True


def cleaned(path: str) -> str:
    """The path without empty parts, `.` and `..`; a slash at its end stays."""
    clean = normpath("/" + path.lstrip("/"))
    if clean == FOLDER or (path.endswith("/") and clean != "/"):
        return clean + "/"
    return clean
