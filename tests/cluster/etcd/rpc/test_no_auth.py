"""The Auth service of a cluster without authentication."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.etcd.rpc.mapping import decode, response_of
from cluster.etcd.rpc.no_auth import SERVICE, answer
from cluster.etcd.rpc.schema import RPCS, SERVICES, Rpc
from cluster.etcd.rpc.status import RpcError
from tests.cluster.etcd.rpc.auth_cases import CALLS


def method(name: str) -> Rpc:
    return RPCS[f"/{SERVICE}/{name}".encode()]


def outcome(rpc: Rpc, fields: dict[str, Any]) -> str:
    """Code and text of the error, or nothing for an answer that is a response."""
    try:
        reply = answer(rpc, decode(rpc, rpc.request(**fields).SerializeToString()))
    except RpcError as error:
        return f"{error.code} {error.message}"
    response_of(rpc, {"header": {"revision": 1}, **reply})
    return ""


@pytest.mark.parametrize(("name", "fields", "expected"), CALLS)
def test_answers_are_etcds_without_users_and_roles(
    name: str, fields: dict[str, Any], expected: str
) -> None:
    assert outcome(method(name), fields) == expected


def test_the_first_revision_is_one_and_nothing_is_enabled() -> None:
    assert answer(method("AuthStatus"), {}) == {"authRevision": 1}


def test_to_add_a_user_or_a_role_is_refused() -> None:
    for name in ("UserAdd", "RoleAdd"):
        refused = outcome(method(name), {"name": "n"})
        assert refused == "12 leasehold: users and roles are not supported yet"


def test_every_method_has_an_answer() -> None:
    assert {name for name, *_ in CALLS} == {each.name for each in SERVICES[SERVICE].methods}
