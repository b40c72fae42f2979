"""A cluster with keys, users and certificates: how the honest come in, and who the hostile are.

The hostile have everything that a stranger can have: keys of their own, a certificate of another
authority, a user without rights, a user that was deleted, a member that was removed, and recordings
of what others have sent.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from actors.raft.rpc import Heartbeat
from cluster import Client
from cluster.curve import HeldKeys, KeyPair, new_pair
from cluster.key_files import CLIENT, MEMBER, MEMBER_FILE, read, write
from cluster.launcher.local import LocalCluster
from cluster.launcher.ports import LOOPBACK
from cluster.wire import pack, unpack
from tests.certificates import Authority
from tests.chaos.history import padded
from tests.chaos.hostile.curve import SealedConnection
from tests.chaos.hostile.intruder import Address
from tests.chaos.hostile.on_clients import BULK
from tests.chaos.hostile.person import NOBODY, Person, Secrets
from tests.chaos.hostile.zmtp import message
from tests.chaos.users import DELETED, HONEST, STRANGER, Entry, Files, add_users
from tests.forgery import forged
from tests.limits import HANG_SECONDS, PATIENT
from tests.linearizability import Operation, Outcome

REMOVED: Final = "n9"
"""The member that is removed again."""

RECORDED: Final = f"{BULK}recorded"
"""The key that the recorded client has put, once for each node."""


class Keyed:
    """Makes what everybody shows, in a directory of its own; `prepare` lets the cluster know."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._authority = Authority(directory, "authority")
        self._foreign = Authority(directory, "foreign authority")
        self._pairs = {name: new_pair() for name in (HONEST.user, STRANGER.user, DELETED.user)}
        self._key_file = directory / "honest" / "client.key"
        write(self._key_file, CLIENT, HeldKeys(self._pairs[HONEST.user]))
        self._removed = new_pair()
        self.secrets = Secrets({}, "", {}, {})
        # What the recorded client has done, once for each node.
        self.operations: list[Operation] = []

    @property
    def node_flags(self) -> tuple[str, ...]:
        """What nodes are started with, beside what the launcher gives a secure cluster."""
        cert, key = self._authority.issue("front")
        return (
            f"--cert-file={cert}",
            f"--key-file={key}",
            f"--trusted-ca-file={self._authority.cert}",
            "--client-cert-auth=true",
        )

    @property
    def entry(self) -> Entry:
        """How the honest clients come in."""
        files = (self._authority.cert, *self._authority.issue(HONEST.user), self._key_file)
        return Entry(HONEST, Files(*map(str, files)))

    def prepare(self, cluster: LocalCluster) -> None:
        """Add the users and their keys; delete one, remove a member, and record what others say."""
        with root_client(cluster) as client:
            add_users(client)
            client.user_add(*DELETED)
            for name, pair in self._pairs.items():
                client.user_add_key(name, bytes.fromhex(pair.public))
            dead_token = client.authenticate(*DELETED).token
            client.user_delete(DELETED.user)
            cluster_id = client.status().header.cluster_id
        cluster.add(REMOVED)
        self._removed = member_pair(cluster, REMOVED)
        cluster.remove(REMOVED)
        keys = {node.name: member_pair(cluster, node.name).public for node in cluster.members}
        of_client = self._recorded_client(cluster)
        self.secrets = Secrets(keys, dead_token, recorded_member(cluster, cluster_id), of_client)

    def people(self) -> tuple[Person, ...]:
        """Whom nobody may let through."""
        certificates = {
            name: tuple(map(str, self._authority.issue(name)))
            for name in (STRANGER.user, DELETED.user)
        }
        foreign = tuple(map(str, self._foreign.issue("root", file="foreign-root")))
        stranger, deleted = self._pairs[STRANGER.user], self._pairs[DELETED.user]
        return (
            NOBODY,
            Person("a stranger with a key", new_pair(), foreign),
            Person("a user without rights", stranger, certificates[STRANGER.user], True, True),
            Person("a deleted user", deleted, certificates[DELETED.user], True),
            Person("a removed member", self._removed),
        )

    def _recorded_client(self, cluster: LocalCluster) -> dict[str, list[bytes]]:
        """A put of an honest client at each node, as it went over the wire."""
        recorded = {}
        for node in cluster.members:
            name = f"recorded.{node.name}"
            put = pack({"op": "put", "key": RECORDED, "value": padded(name, 0)})
            address, pair = (LOOPBACK, node.direct_port or 0), self._pairs[HONEST.user]
            began = time.monotonic()
            with _recording(cluster, node.name, address, pair) as connection:
                connection.shake_hands(b"DEALER")
                connection.send(message(put))
                ((answer,),) = connection.messages(1, HANG_SECONDS)
                recorded[node.name] = connection.sent or []
            done = Operation(name, "put", RECORDED, began, time.monotonic(), Outcome.OK, value=name)
            revision = unpack(answer)["header"]["revision"]
            self.operations.append(done._replace(revision=revision))
        return recorded


def recorded_member(cluster: LocalCluster, cluster_id: int) -> dict[str, list[bytes]]:
    """A frame of an old term, from a member to each other one, as it went over the wire."""
    recorded = {}
    *others, last = cluster.members
    for node, sender in zip(cluster.members, (last, *others), strict=True):
        old = Heartbeat(sender.member_id, node.member_id, 0, 0, 0, 0, 0, 0, False)
        address, pair = (LOOPBACK, node.ports.peer), member_pair(cluster, sender.name)
        with _recording(cluster, node.name, address, pair) as connection:
            connection.shake_hands(b"PUSH")
            connection.send(message(forged(cluster_id, old)))
            recorded[node.name] = connection.sent or []
    return recorded


def root_client(cluster: LocalCluster) -> Client:
    """A client of the nodes themselves that may do everything: by the launcher's own key."""
    endpoints, key_file = cluster.direct_endpoints, cluster.own_key_file
    return Client(endpoints, **PATIENT, key_file=key_file)


def member_pair(cluster: LocalCluster, name: str) -> KeyPair:
    """The keys of a member, from its directory."""
    return read(cluster.directory.node_directory(name) / MEMBER_FILE, MEMBER).pair


def _recording(
    cluster: LocalCluster, name: str, address: Address, pair: KeyPair
) -> SealedConnection:
    return SealedConnection(address, pair, member_pair(cluster, name).public, recorded=True)
