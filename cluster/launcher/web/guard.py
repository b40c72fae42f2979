"""Who is answered: those who know the token, ask this host by its name, and come from the page.

Another page in the same browser can send requests here, and a name of its own can lead to
127.0.0.1 (DNS rebinding). The token is in the path of the page's address, and no other page can
read that. Pure: it refuses to know sockets.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

from cluster.launcher.web.http import HttpRefusedError

TOKEN_HEADER: Final = "x-leasehold-token"
"""The header that repeats the token in each POST: a form of another page cannot set it."""

SAME_SITE: Final = frozenset({"same-origin", "none"})
"""What a browser says of requests by the page itself, and of an address that the user typed."""


class Guard(NamedTuple):
    """The rules of one server: its port and its token."""

    port: int
    token: str

    @property
    def hosts(self) -> frozenset[str]:
        """The names by which a browser on this machine asks this server."""
        return frozenset({f"127.0.0.1:{self.port}", f"localhost:{self.port}"})

    def path_of(self, method: str, target: str, headers: Mapping[str, str]) -> str:
        """The path behind the token, `/` for the page itself. Raises HttpRefusedError."""
        if headers.get("host", "").lower() not in self.hosts:
            raise HttpRefusedError(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"this server is 127.0.0.1:{self.port}, and the request is for another host",
            )
        path = target.partition("?")[0]
        given, slash, rest = path.removeprefix("/").partition("/")
        if not slash or not _same(given, self.token):
            raise HttpRefusedError(
                HTTPStatus.FORBIDDEN,
                "the token is wrong or missing: open the address that the launcher has printed",
            )
        if rest and not self._comes_from_here(headers):
            raise HttpRefusedError(HTTPStatus.FORBIDDEN, "the request comes from another page")
        if method == "POST":
            self._check_post(headers)
        return f"/{rest}"

    def _comes_from_here(self, headers: Mapping[str, str]) -> bool:
        origin = headers.get("origin")
        if origin is not None and origin.lower().removeprefix("http://") not in self.hosts:
            return False
        return headers.get("sec-fetch-site", "none") in SAME_SITE

    def _check_post(self, headers: Mapping[str, str]) -> None:
        if not _same(headers.get(TOKEN_HEADER, ""), self.token):
            raise HttpRefusedError(
                HTTPStatus.FORBIDDEN, "a POST needs the token in the header X-Leasehold-Token"
            )
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise HttpRefusedError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must be application/json"
            )


def _same(given: str, token: str) -> bool:
    """Whether the token is right, in a time that does not tell how much of it is."""
    return hmac.compare_digest(given.encode(), token.encode())
