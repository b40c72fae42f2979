"""The nodes of a local cluster: their names, their ports, and the flags that start each of them.

Values only: it starts and writes nothing, but it claims the ports that it chooses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from cluster.identity import member_id_of
from cluster.launcher.ports import (
    BASE_PORT,
    FREE_PORTS,
    LOOPBACK,
    PORT_MAX,
    SIZE_MAX,
    PortClaims,
    Ports,
    layout_from,
    ports_from,
    ports_given_away,
)
from cluster.schemes import HTTP, HTTPS, TCP

DEFAULT_SIZE: Final = 3
TOKEN: Final = "etcd-cluster"

GROUPS: Final = ("leader", "follower", "random", "all")
"""What a command may name in place of a node: so no node has such a name."""

NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}"


class LauncherError(Exception):
    """The cluster cannot be started or used like this; the message is one line."""


class NodeRecord(NamedTuple):
    """The record of a node, kept for the next start.

    `joined_with` is the --initial-cluster of a node that was added later; it is empty for the
    first nodes of a cluster. The record of a removed node is kept (`is_removed`), because its name
    cannot be used again. `key` is the public key of a member with keys.
    """

    name: str
    ports: Ports
    member_id: int
    joined_with: str = ""
    is_learner: bool = False
    is_removed: bool = False
    key: str = ""

    @property
    def endpoint(self) -> str:
        """The address for clients, HOST:PORT."""
        return f"{LOOPBACK}:{self.ports.client}"

    @property
    def peer_url(self) -> str:
        """The address for the other nodes."""
        return f"tcp://{LOOPBACK}:{self.ports.peer}"

    @property
    def peer(self) -> str:
        """It as --initial-cluster names it."""
        return f"{self.name}={self.peer_url}" + (f"#{self.key}" if self.key else "")


class Certificate(NamedTuple):
    """The files of the certificate that the fronts show, and of its key."""

    cert_file: Path
    key_file: Path


def name_of(number: int) -> str:
    """The name of a local cluster's node, counted from 0: n1, n2, n3..."""
    return f"n{number + 1}"


def founder(name: str, ports: Ports) -> NodeRecord:
    """The record of one of the first nodes of a cluster."""
    record = NodeRecord(name, ports, 0)
    return record._replace(member_id=member_id_of((record.peer_url,), TOKEN))


def choose_nodes(
    recorded: Sequence[NodeRecord],
    size: int | None,
    base_port: int | None,
    fixed_ports: bool,
    where: str,
    claims: PortClaims,
) -> tuple[NodeRecord, ...]:
    """The recorded nodes of the cluster in directory `where`, or the nodes of a new cluster.

    Ports that are chosen here are claimed; those that were recorded or asked for are not.
    """
    members = [record for record in recorded if not record.is_removed]
    size = size or len(members) or DEFAULT_SIZE
    if not 1 <= size <= SIZE_MAX:
        raise LauncherError(f"a local cluster has 1 to {SIZE_MAX} nodes, not {size}")
    if recorded and len(members) != size:
        raise LauncherError(
            f"data directory {where} holds a cluster of size {len(members)}, not {size}"
        )
    if recorded:
        if base_port is not None and first_port(recorded) != base_port:
            raise LauncherError(
                f"data directory {where} holds a cluster whose first port is"
                f" {first_port(recorded)}, not {base_port}"
            )
        return tuple(recorded)
    if base_port is None and not fixed_ports:
        ports = claims.claim_free(size)
    else:
        ports = _fixed_ports(BASE_PORT if base_port is None else base_port, size)
    return tuple(founder(name_of(number), pair) for number, pair in enumerate(ports))


def next_node(
    recorded: Sequence[NodeRecord],
    name: str | None,
    learner: bool,
    claims: PortClaims,
    in_place_of: str = "",
) -> NodeRecord:
    """A node to add: the next name and ports, by the others' fixed layout if that can go on.

    It may have the name of the node `in_place_of` which it comes, and no other one's.
    """
    members = [
        record for record in recorded if not record.is_removed and record.name != in_place_of
    ]
    if len(members) >= SIZE_MAX:
        raise LauncherError(f"a local cluster has at most {SIZE_MAX} nodes")
    used = {record.name for record in recorded}
    taken = {other.casefold(): other for other in used}
    if name is None:
        name = next(
            free for number in range(len(used) + 1) if (free := name_of(number)) not in used
        )
    elif name.casefold() in taken and name != in_place_of:
        other = taken[name.casefold()]
        raise LauncherError(f"there is or was a node {other}: a new one needs a name of its own")
    elif name.casefold() in GROUPS or not re.fullmatch(NAME, name):
        raise LauncherError(f"{name} is not a valid name for a node")
    record = NodeRecord(name, _next_ports(recorded, claims), 0, is_learner=learner)
    return record._replace(joined_with=initial_cluster([*members, record]))


def first_port(recorded: Sequence[NodeRecord]) -> int:
    """The port from which the cluster's ports were laid out: that of its first node."""
    return next(
        record.ports.client
        for record in recorded
        if record.name == name_of(0) and not record.joined_with
    )


def initial_cluster(records: Iterable[NodeRecord]) -> str:
    """The value of --initial-cluster that names these nodes."""
    return ",".join(record.peer for record in records)


def flags_of(
    record: NodeRecord,
    recorded: Iterable[NodeRecord],
    data_dir: str,
    direct_port: int | None = None,
    certificate: Certificate | None = None,
) -> Mapping[str, str]:
    """The flags of a node, the same for every start.

    With `direct_port` it has a front at its endpoint, and listens itself at that port: clients move
    there by themselves. With a certificate the front speaks TLS, and a client of the node itself
    needs a key.
    """
    client_urls = f"{TCP}{record.endpoint}"
    if direct_port is not None:
        scheme = HTTP if certificate is None else HTTPS
        client_urls = f"{scheme}{record.endpoint},{TCP}{LOOPBACK}:{direct_port}"
    founders = [other for other in recorded if not other.joined_with]
    flags = {
        "name": record.name,
        "data-dir": data_dir,
        "listen-client-urls": client_urls,
        "advertise-client-urls": client_urls,
        "listen-peer-urls": record.peer_url,
        "initial-advertise-peer-urls": record.peer_url,
        "initial-cluster": record.joined_with or initial_cluster(founders),
        "initial-cluster-state": "existing" if record.joined_with else "new",
        "initial-cluster-token": TOKEN,
    }
    if certificate is not None:
        flags |= {
            "client-keys": "true",
            "cert-file": str(certificate.cert_file),
            "key-file": str(certificate.key_file),
        }
    return flags


def _fixed_ports(base_port: int, size: int) -> tuple[Ports, ...]:
    if not 1 <= base_port < PORT_MAX:
        raise LauncherError(f"the first port {base_port} is no number from 1 to {PORT_MAX - 1}")
    return ports_from(base_port, size)


def _next_ports(recorded: Sequence[NodeRecord], claims: PortClaims) -> Ports:
    used = {record.ports for record in recorded}
    base_port = first_port(recorded)
    layout = ports_from(base_port, SIZE_MAX)
    # With two nodes or more, their ports tell if the layout is the fixed one. The first node alone
    # tells by its own port: a port outside FREE_PORTS was not chosen as a free one.
    alone = len(used) == 1 and base_port not in FREE_PORTS
    if alone or used & set(layout[1:]):
        for pair in layout_from(base_port, ports_given_away()):
            if pair not in used and claims.maybe_claim(pair):
                return pair
    return claims.claim_free(1, used)[0]
