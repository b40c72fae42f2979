"""Every operation of the protocol, asked by nobody and by a user without any right.

The operations are the protocol's table's, so that a new one is tried here without being named.
"""

from __future__ import annotations

from typing import Any

import pytest

from actors.gateway.decoded import (
    ChoreRequest,
    CommandRequest,
    ConsensusRequest,
    LoginRequest,
    PasswordRequest,
    QueryRequest,
    SessionRequest,
    SurveyRequest,
)
from actors.gateway.identities import Identities
from actors.gateway.newcomers import LeaseGrants, Newcomers
from actors.gateway.requests import RequestDecoder
from actors.language import auth
from actors.language.auth import NOBODY, UNKNOWN, Principal
from actors.language.codec import decode_command
from actors.language.commands import Command, LeaseGrant, Put, SessionOpen
from actors.language.messages import WatchCancel, WatchOpen, WatchProgress
from actors.language.metrics import Survey
from actors.language.queries import Permit, RaftStatus, Status
from actors.language.results import Failure
from actors.store.machine import Machine
from actors.store.questions import answer
from cluster.protocol import OPS
from cluster.wire import pack
from tests.gateway.test_protocol_table import requests_of
from tests.store.driver import FOUNDERS, TERM
from tests.twins import MemoryBackend

OF_ANYBODY = {"authenticate", "member_list", "status", "metrics", "watch_cancel", "watch_progress"}
"""What needs no user."""

OF_USERS = {"lease_grant", "lease_leases", "session_open", "lease_time_to_live"}
"""What needs a user, and no right; the last one has the names of keys only with a right to them."""

DENIED = "PermissionDenied"
LEASE = 7
"""A lease that a key hangs on."""

DECODER = RequestDecoder(
    LeaseGrants(1, 1, 1), Newcomers("", lambda: 1), 10_000, bytes, Identities(lambda: 0)
)


@pytest.fixture(scope="module")
def machine() -> Machine:
    """A machine that checks requests; its user ann has no right."""
    made = Machine(MemoryBackend(), FOUNDERS)
    commands: tuple[Command, ...] = (
        LeaseGrant(LEASE, 1_000_000),
        Put(b"k", b"v", LEASE),
        auth.UserAdd("root", b"hash"),
        auth.UserGrantRole("root", "root"),
        auth.UserAdd("ann", b"hash"),
        auth.AuthEnable(b"s" * 32),
    )
    for index, command in enumerate(commands, start=1):
        assert not isinstance(made.apply(index, TERM, 1_000, command, None), Failure)
    return made


def fault(machine: Machine, request: Any, who: Principal) -> str:
    """Why the store refuses what the gateway makes of a request; empty: it does not."""
    match request:
        case CommandRequest(_, data):
            command, sequence, _ = decode_command(data)
            index = machine.applied_index + 1
            result = machine.apply(index, TERM, 1_000, command, sequence, who)
        case SessionRequest():
            index = machine.applied_index + 1
            result = machine.apply(index, TERM, 1_000, SessionOpen(index), None, who)
        case QueryRequest(query=query):
            query = Status(RaftStatus(1, 1, 1, False)) if isinstance(query, Status) else query
            result = answer(machine, query, 1_000, who)
        case ConsensusRequest(order=asked):
            result = answer(machine, Permit(asked), 1_000, who)
        case PasswordRequest(made=made):
            result = answer(machine, Permit(made.command), 1_000, who)
        case ChoreRequest(work=work):
            return machine.fault_of(who, work)
        case SurveyRequest():
            return machine.fault_of(who, Survey(1))
        case WatchOpen() | WatchCancel() | WatchProgress():
            return machine.fault_of(who, request)
        case LoginRequest():
            return ""
        case _:
            raise AssertionError(f"{request} is no request that was to be made")
    return result.name if isinstance(result, Failure) else ""


def made(name: str) -> list[Any]:
    """Requests of an operation, as the gateway has decoded them, without those that it refuses."""
    operation = OPS[name]
    fields = {field.name for field in (*operation.request, *operation.alone)}
    usual = {
        "key": b"k",
        "ID": LEASE,
        "peerURLs": ["tcp://h:1"],
        "success": [{"request_put": {"key": b"k"}}],
        "action": "DEACTIVATE",  # to list alarms takes no right
    }
    extra = {field: value for field, value in usual.items() if field in fields}
    asked = [{"op": name, **extra}, *({**each, **extra} for each in requests_of(operation))]
    decoded = [DECODER.decode((b"\0one",), pack(each)) for each in asked]
    return [each for each in decoded if type(each).__name__ != "Refusal"]


@pytest.mark.parametrize("name", OPS)
def test_without_a_user_nothing_is_done_but_what_is_open(machine: Machine, name: str) -> None:
    requests = made(name)
    assert requests, f"no request of {name} can be made"
    revision = machine.revision
    for request in requests:
        open_to_all = name in OF_ANYBODY
        assert fault(machine, request, NOBODY) == ("" if open_to_all else "UserEmpty"), request
        worthless = fault(machine, request, UNKNOWN)
        assert worthless == ("" if open_to_all else "InvalidAuthToken"), request
    assert machine.revision == revision


@pytest.mark.parametrize("name", sorted(OPS.keys() - OF_ANYBODY - OF_USERS))
def test_a_user_without_rights_is_denied_all_else(machine: Machine, name: str) -> None:
    ann, revision = Principal(5, 100), machine.revision
    for request in made(name):
        assert fault(machine, request, ann) == DENIED, request
    assert machine.revision == revision
    assert machine.auth.enabled
