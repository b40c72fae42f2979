"""News: what the client's core tells of retries, fail-over and oddities, for the log. Pure data.

`told` writes them down, and no program waits for them.
"""

from __future__ import annotations

from typing import NamedTuple


class Retry(NamedTuple):
    """An attempt of a request at an endpoint has failed for this cause, and another one follows.

    A watch that goes on at another node is one, too.
    """

    op: str
    attempt: int
    endpoint: str
    cause: str


class Turn(NamedTuple):
    """Requests go to this endpoint from now on; `before` and the cause are empty for the first."""

    endpoint: str
    before: str
    cause: str


class Lead(NamedTuple):
    """Writes go to this endpoint from now on: its member leads."""

    endpoint: str


class Oddity(NamedTuple):
    """An endpoint is connected, and yet is not what it should be."""

    endpoint: str
    what: str


News = Retry | Turn | Lead | Oddity
