"""What a shell may complete a word to that only the cluster knows: keys, and ids of all kinds.

A prompt must neither wait nor show an error: without an answer in time there is nothing to offer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import click

from cluster.cli.ending import CommandError
from cluster.cli.settings import CliSettings
from cluster.errors import LeaseholdError

if TYPE_CHECKING:
    from cluster.client.threads.key_client import BytesKeyClient

PATIENCE_SECONDS: Final = 0.15
KEYS_MAX: Final = 100
"""More keys than this are not offered: nobody reads them."""

_PLAIN: Final = re.compile(r"(?![-=])[\w@%+=./-]+")
"""What all shells take as it is: they would part a name at a blank, and look for files at a star.
Nor is a key offered whose bytes are not UTF-8, or one that looks like a flag."""

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def _offering(names: Callable[[BytesKeyClient, str], Iterable[str]]) -> Complete:
    """Offer those of the names that begin as the word does, and that a shell takes as one word."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        settings: CliSettings = context.find_root().obj
        if context.params.get("words") or settings.asks_for_password:
            return []
        settings.be_brief(PATIENCE_SECONDS)
        try:
            with settings.connect_for_keys() as client:
                found = list(names(client, incomplete))
        except (LeaseholdError, CommandError):
            return []
        return [name for name in found if name.startswith(incomplete) and _PLAIN.fullmatch(name)]

    return complete


def _keys(client: BytesKeyClient, incomplete: str) -> Iterable[str]:
    prefix = os.fsencode(incomplete)
    found = client.range(prefix, prefix=True, limit=KEYS_MAX, keys_only=True)
    return (kv.key.decode(errors="replace") for kv in found)


def _leases(client: BytesKeyClient, incomplete: str) -> Iterable[str]:
    return (f"{lease_id:016x}" for lease_id in _listed(client, "lease_leases").ids)


def _members(client: BytesKeyClient, incomplete: str) -> Iterable[str]:
    listed = _listed(client, "member_list", linearizable=False)
    return (f"{member.id:x}" for member in listed.members)


def _users(client: BytesKeyClient, incomplete: str) -> Iterable[str]:
    users: tuple[str, ...] = _listed(client, "user_list").users
    return users


def _roles(client: BytesKeyClient, incomplete: str) -> Iterable[str]:
    roles: tuple[str, ...] = _listed(client, "role_list").roles
    return roles


def _listed(client: BytesKeyClient, op: str, **fields: Any) -> Any:
    """The result of an operation without keys."""
    from cluster.client.replies import of  # noqa: PLC0415 - as connect() does
    from cluster.client.result_table import RESULTS  # noqa: PLC0415

    return client.request({"op": op, **fields}, of(RESULTS[op]))


keys: Final = _offering(_keys)
leases: Final = _offering(_leases)
members: Final = _offering(_members)
users: Final = _offering(_users)
roles: Final = _offering(_roles)
