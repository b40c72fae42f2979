"""The users of a cluster that checks requests, how honest clients come in, and who may do nothing.

Where members have keys, honest clients come by a key to the nodes themselves, and with a token and
a certificate to the fronts. Refuses to know what clients do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import grpc
import zmq

from cluster import Client
from cluster.key_files import CLIENT, read
from cluster.keyed import seal
from cluster.schemes import TCP
from tests.limits import HANG_SECONDS, PATIENT


class User(NamedTuple):
    """A user, and how it logs in."""

    user: str
    password: str


ROOT: Final = User("root", "the root of all")
HONEST: Final = User("honest", "with a password")
STRANGER: Final = User("stranger", "may do nothing")
DELETED: Final = User("deleted", "was a user")

KEYS_OF_ALL: Final = "keys"
"""The role that may read and write every key, and nothing else."""


class Files(NamedTuple):
    """What somebody needs where nodes ask for keys, and fronts for certificates."""

    ca_cert: str
    cert: str
    key: str
    key_file: str


NO_FILES: Final = Files("", "", "", "")
DIAL_SECONDS: Final = 5.0
"""How long a campaign's clients look for a node at least."""


class Entry(NamedTuple):
    """How honest clients come in: as whom, and with which files."""

    user: User | None = None
    files: Files | None = None

    def client(self, endpoints: Sequence[str], timeout: float) -> Client:
        """A client of these endpoints: of nodes that are named with their keys, or of fronts."""
        dial_timeout = max(timeout, DIAL_SECONDS)
        if any("#" in endpoint for endpoint in endpoints):
            assert self.files is not None
            key_file = self.files.key_file
            return Client(endpoints, timeout=timeout, dial_timeout=dial_timeout, key_file=key_file)
        name, password = (None, None) if self.user is None else self.user
        ca_cert, cert, key, _ = self.files or NO_FILES
        return Client(
            endpoints,
            timeout=timeout,
            dial_timeout=dial_timeout,
            user=name,
            password=password,
            ca_cert=ca_cert,
            cert=cert,
            key=key,
        )

    def token(self, endpoints: Sequence[str]) -> str | None:
        """A token for bare requests; None where nobody has to show one."""
        if self.user is None:
            return None
        with self.client(endpoints, HANG_SECONDS) as client:
            return client.authenticate(*self.user).token

    def connect(self, socket: zmq.Socket[bytes], endpoint: str) -> None:
        """Connect a bare socket to a node, sealed if the endpoint names a key."""
        address, _, key = endpoint.partition("#")
        if key:
            assert self.files is not None
            seal(socket, key, read(Path(self.files.key_file), CLIENT).pair)
        socket.connect(f"{TCP}{address}")

    def channel(self, endpoint: str, options: Sequence[tuple[str, int]]) -> grpc.Channel:
        """A channel to a front."""
        address = endpoint.rpartition("/")[2]
        if self.files is None:
            return grpc.insecure_channel(address, list(options))
        ca_cert, cert, key, _ = (Path(path) for path in self.files)
        credentials = grpc.ssl_channel_credentials(
            ca_cert.read_bytes(), key.read_bytes(), cert.read_bytes()
        )
        return grpc.secure_channel(address, credentials, list(options))


ANYBODY: Final = Entry()
"""Where nobody is asked who comes."""


def guard(endpoints: Sequence[str]) -> None:
    """Add the users to a new cluster, and have it check requests from now on."""
    with Client(endpoints, **PATIENT) as client:
        client.user_add(*ROOT)
        client.user_grant_role(ROOT.user, "root")
        add_users(client)
        client.auth_enable()


def add_users(client: Client) -> None:
    """Add the honest user, who may read and write all keys, and the one who may do nothing."""
    for user in (HONEST, STRANGER):
        client.user_add(*user)
    client.role_add(KEYS_OF_ALL)
    client.role_grant_permission(KEYS_OF_ALL, "READWRITE", None)
    client.user_grant_role(HONEST.user, KEYS_OF_ALL)
