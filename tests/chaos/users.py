"""The users of a cluster that checks requests: the honest clients', and one who may do nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from cluster import Client
from tests.limits import HANG_SECONDS


class User(NamedTuple):
    """A user, and how it logs in."""

    user: str
    password: str


ROOT: Final = User("root", "the root of all")
HONEST: Final = User("honest", "with a password")
STRANGER: Final = User("stranger", "may do nothing")

KEYS_OF_ALL: Final = "keys"
"""The role that may read and write every key, and nothing else."""


def guard(endpoints: Sequence[str]) -> None:
    """Add the users to a new cluster, and have it check requests from now on."""
    with Client(endpoints, timeout=HANG_SECONDS) as client:
        for user in (ROOT, HONEST, STRANGER):
            client.user_add(*user)
        client.role_add(KEYS_OF_ALL)
        client.role_grant_permission(KEYS_OF_ALL, "READWRITE", None)
        client.user_grant_role(HONEST.user, KEYS_OF_ALL)
        client.user_grant_role(ROOT.user, "root")
        client.auth_enable()


def token_of(endpoints: Sequence[str], user: User | None) -> str | None:
    """A token for bare requests; None where nobody has to show one."""
    if user is None:
        return None
    with Client(endpoints, timeout=HANG_SECONDS) as client:
        return client.authenticate(*user).token


def client_of(endpoints: Sequence[str], user: User | None, timeout: float) -> Client:
    """A client that asks as this user, or as nobody."""
    name, password = (None, None) if user is None else user
    return Client(endpoints, timeout=timeout, user=name, password=password)
