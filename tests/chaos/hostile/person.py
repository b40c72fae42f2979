"""As whom a hostile client comes: with which key, which certificate, and which rights it has not.

Knows credentials; not where they are shown, nor what is done with them.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from cluster.curve import KeyPair


class Person(NamedTuple):
    """Somebody whom no peer port lets in, and who may ask for nothing that matters.

    `pair` is for ZeroMQ. `certificate` has the files of one, and of its key; `is_invited`: it is
    signed by the authority that fronts believe. `is_user`: the key and the certificate are a
    user's.
    """

    name: str
    pair: KeyPair | None = None
    certificate: Sequence[str] = ()
    is_invited: bool = False
    is_user: bool = False


NOBODY: Final = Person("nobody")


def person_of(fields: Sequence[Any]) -> Person:
    """A person as JSON has it."""
    name, pair, certificate, *others = fields
    pair = None if pair is None else KeyPair(*pair)
    return Person(name, pair, tuple(certificate), *others)


class Secrets(NamedTuple):
    """What is known where members and clients have keys.

    `keys` are the public ones of the nodes by name. The rest is stolen: `dead_token` is that of a
    user that was deleted, and `of_member` and `of_client` are what a member and an honest client
    have sent in one conversation each, piece by piece, with the node of this name.
    """

    keys: Mapping[str, str]
    dead_token: str
    of_member: Mapping[str, Sequence[bytes]]
    of_client: Mapping[str, Sequence[bytes]]


def secrets_of(fields: Sequence[Any]) -> Secrets:
    """Secrets as JSON has them: bytes in hexadecimal."""
    keys, dead_token, *recorded = fields
    of_member, of_client = (
        {name: [bytes.fromhex(piece) for piece in pieces] for name, pieces in each.items()}
        for each in recorded
    )
    return Secrets(keys, dead_token, of_member, of_client)


@cache
def tls_of(person: Person) -> ssl.SSLContext:
    """TLS as this person speaks it: it believes every front, and shows what it has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if person.certificate:
        context.load_cert_chain(*person.certificate)
    return context
