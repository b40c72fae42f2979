"""Cross-origin requests: which headers let a page of another origin read an answer.

As etcd's `--cors`: a list of origins, or `*` for all.
"""

from __future__ import annotations

from typing import Final

from cluster.etcd.web.exchange import HttpRequest

ANY: Final = "*"

_ALLOWED: Final = (
    "Access-Control-Allow-Headers: accept, content-type, authorization\r\n"
    "Access-Control-Allow-Methods: POST, GET, OPTIONS, PUT, DELETE\r\n"
    "Access-Control-Allow-Origin: {origin}\r\n"
)


class Cors:
    """The origins whose pages may read answers."""

    def __init__(self, origins: tuple[str, ...] = (ANY,)) -> None:
        self._origins = frozenset(origins)
        self._any = _ALLOWED.format(origin=ANY) if ANY in self._origins else ""

    def lines(self, request: HttpRequest) -> str:
        """The header lines of an answer to this request; none for an origin that is not allowed."""
        if self._any:
            return self._any
        origin = request.headers.get("origin", "")
        return _ALLOWED.format(origin=origin) if origin in self._origins else ""
