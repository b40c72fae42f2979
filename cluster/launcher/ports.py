"""The TCP ports of a local cluster: which are free, and who has claimed them. It starts nothing."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

BASE_PORT: Final = 2379
"""The first node's client port, the same as etcd's."""

OFFSETS: Final = (0, 20_000, 30_000, 40_000, 50_000, 60_000, 10_000)
"""From the base port to each node's client port: 2379, 22379, 32379, as in etcd's own examples."""

SIZE_MAX: Final = len(OFFSETS)
PORT_MAX: Final = 65_535

FREE_PORTS: Final = range(10_000, 30_000)
"""Free ports are chosen below those that the kernel gives to outgoing connections. One of those
could take the port of a dead node before it starts again, or even connect to itself."""

FREE_PORT_TRIES: Final = 1_000
LOOPBACK: Final = "127.0.0.1"


class PortTakenError(Exception):
    """A port that a cluster needs is not free; the message names it, and who listens on it."""


class Ports(NamedTuple):
    """A node's two ports on loopback."""

    client: int
    peer: int


def ports_from(base_port: int, size: int) -> tuple[Ports, ...]:
    """The fixed layout: clients at base, base + 20000, ...; peers one above."""
    return tuple(Ports(base_port + offset, base_port + offset + 1) for offset in OFFSETS[:size])


class PortClaims:
    """The ports that a cluster has for its lifetime; no other cluster on this host claims them.

    A port is free until a node listens on it, and a node listens only some time after it was
    started: in between, a second cluster would choose the same port. The claim of a port is a unix
    socket with the port's name in it. The system lets one process have that name, whoever listens
    on the port itself, and takes the name back when the process ends in whatever way.
    """

    def __init__(self) -> None:
        self._held: dict[int, socket.socket] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def claim(self, ports: Ports) -> None:
        """Claim a node's two ports; PortTakenError if one is claimed, or something listens."""
        for port in ports:
            if not self._maybe_claim(port):
                raise PortTakenError(f"port {port} is taken{holder_of(port)}")

    def maybe_claim(self, ports: Ports) -> bool:
        """Claim a node's two ports, or none; whether they were free."""
        before = set(self._held)
        if all(map(self._maybe_claim, ports)):
            return True
        for port in ports:
            if port in self._held and port not in before:
                self._held.pop(port).close()
        return False

    def claim_free(self, size: int, besides: Collection[Ports] = ()) -> tuple[Ports, ...]:
        """Claim ports for `size` nodes, which are free now; none of those `besides`."""
        found: list[Ports] = []
        chooser = random.SystemRandom()
        for _ in range(FREE_PORT_TRIES):
            if len(found) == size:
                return tuple(found)
            client = chooser.choice(FREE_PORTS[::2])
            ports = Ports(client, client + 1)
            if ports in besides or set(ports) & self._held.keys():
                continue
            if self.maybe_claim(ports):
                found.append(ports)
        raise OSError(f"no free ports between {FREE_PORTS.start} and {FREE_PORTS.stop}")

    def release(self) -> None:
        """Give all ports back."""
        for claim in self._held.values():
            claim.close()
        self._held.clear()

    def _maybe_claim(self, port: int) -> bool:
        if port not in self._held:
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                # The leading zero makes it a name without a file, in this network namespace only.
                claim.bind(f"\0leasehold port {port}")
            except OSError:
                claim.close()
                return False
            self._held[port] = claim
        if is_free(port):
            return True
        self._held.pop(port).close()
        return False


def is_free(port: int) -> bool:
    """Whether a node could listen on this port of loopback now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        # As ZeroMQ binds: connections of an earlier node in TIME_WAIT are no obstacle.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
            listener.listen(1)
        except OSError:
            return False
    return True


def holder_of(port: int) -> str:
    """The process that listens on a port, as ` by NAME (pid N)`; an empty text if unknown."""
    inodes = _listening_inodes(port)
    for process in Path("/proc").glob("[0-9]*"):
        # A process may end meanwhile, and another user's descriptors cannot be read.
        with suppress(OSError):
            if any(_target(link) in inodes for link in (process / "fd").iterdir()):
                name = (process / "comm").read_text().strip()
                return f" by {name} (pid {process.name})"
    return ""


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    return inodes
