"""What a client's frame is once it is decoded: a kind of request for each way to serve one.

`request_id` is packed, b"" for none. Refuses to know the operations, and what each asks for.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.gateway.users import LoginAttempt, Passworded
from actors.language.auth import NOBODY, Principal
from actors.language.commands import Sequence
from actors.language.members import MemberChange, Transfer
from actors.language.messages import (
    Defragment,
    ReadSnapshot,
    WatchCancel,
    WatchOpen,
    WatchProgress,
)
from actors.language.queries import Query
from cluster.faults import Fault


class CommandRequest(NamedTuple):
    """A request that becomes an entry of the log; `command` is encoded."""

    request_id: bytes
    command: bytes


class PasswordRequest(NamedTuple):
    """A request that becomes an entry of the log once its password is hashed."""

    request_id: bytes
    made: Passworded
    sequence: Sequence | None
    principal: Principal


class LoginRequest(NamedTuple):
    """A request for a token."""

    request_id: bytes
    login: LoginAttempt


class SessionRequest(NamedTuple):
    """A request to open a session."""

    request_id: bytes
    principal: Principal = NOBODY


class QueryRequest(NamedTuple):
    """A request that only reads; `serializable`: this node's own state will do, however old."""

    request_id: bytes
    query: Query
    serializable: bool
    principal: Principal = NOBODY


class ConsensusRequest(NamedTuple):
    """A request that Raft itself carries out."""

    request_id: bytes
    order: MemberChange | Transfer
    principal: Principal = NOBODY


class SurveyRequest(NamedTuple):
    """A request for what all actors of the node have counted."""

    request_id: bytes
    principal: Principal = NOBODY


class ChoreRequest(NamedTuple):
    """A request for work on this node's files; Store gets it with a ticket."""

    request_id: bytes
    work: ReadSnapshot | Defragment


class Refusal(NamedTuple):
    """A request that cannot be served, and the error to reply with."""

    request_id: bytes
    fault: Fault


Request = (
    CommandRequest
    | PasswordRequest
    | LoginRequest
    | SessionRequest
    | QueryRequest
    | WatchOpen
    | WatchCancel
    | WatchProgress
    | ConsensusRequest
    | SurveyRequest
    | ChoreRequest
    | Refusal
)
