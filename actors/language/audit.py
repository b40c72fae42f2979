"""What is remembered of a request for the audit log, on its way through a node.

The gateway writes it down and decides what becomes of it. Refuses to know what is recorded.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from actors.language.auth import Principal


class Requester(NamedTuple):
    """Who has made a request, as far as is known: a user, a key, and an address."""

    user: str
    client_key: bytes
    address: str


class Note(NamedTuple):
    """A request: what for, from whom and from where.

    `level`: it is recorded at this level of the audit log and above it, and at each level if it is
    refused to whoever asks. `fields` are the request's own, without a value or a password, unless
    within a transaction. `connection` is the name of the one it came on, `address` what the front
    has told of its client. `by` is what was shown of who asks: "token", "certificate" (with this
    `common_name`), or nothing. `requester` is None until it is clear that there will be a record.
    """

    op: str
    level: int
    fields: dict[str, Any]
    connection: bytes
    principal: Principal
    by: str = ""
    common_name: str = ""
    address: str = ""
    requester: Requester | None = None


class WatchAnswered(NamedTuple):
    """Watch -> Gateway: what became of a watch that was noted; with an empty reason it exists."""

    note: Note
    revision: int
    reason: str
