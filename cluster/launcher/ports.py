"""The TCP ports of a local cluster: which are free, and who has claimed them. It starts nothing."""

from __future__ import annotations

import os
import pwd
import random
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Final, NamedTuple, Self

BASE_PORT: Final = 2379
"""The first node's client port, the same as etcd's."""

WEB_PORT: Final = 8379
"""The page's port, where no other is asked for."""

SIZE_MAX: Final = 7
PORT_MAX: Final = 65_535

STEPS: Final = (20_000, 30_000, 10_000, 60_000)
"""From the first client port to others: 2379, 22379, 32379, as in etcd's own examples, and two more
that are as easy to remember: 12379 and 62379."""

PRIVILEGED: Final = 1_024

BASE_STEP: Final = 1_000
"""The distance of the base ports that are tried to suggest a free one."""

SMALL_STEP: Final = 10
"""The distance of further ports, where those are above the highest port there is, or among those
that the kernel gives away."""

GIVEN_AWAY: Final = range(32_768, 61_000)
"""The ports that the kernel gives to outgoing connections, unless the host has others."""

GIVEN_AWAY_FILE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")

FREE_PORTS: Final = range(10_000, 30_000)
"""Free ports are chosen from these, without those that the kernel gives away. One of these could
take the port of a dead node before it starts again, or even connect to itself."""

FREE_PORT_TRIES: Final = 1_000
LOOPBACK: Final = "127.0.0.1"


class PortTakenError(Exception):
    """A port that a cluster needs is not free; the message names it, and who listens on it."""


class Ports(NamedTuple):
    """A node's two ports on loopback."""

    client: int
    peer: int


def ports_given_away(file: Path = GIVEN_AWAY_FILE) -> range:
    """The ports that this host's kernel gives to outgoing connections, as it tells them."""
    try:
        first, last = map(int, file.read_text().split())
    except (OSError, ValueError):
        return GIVEN_AWAY
    return range(first, last + 1)


def layout_from(base_port: int, given_away: range) -> Iterator[Ports]:
    """The nodes' ports in order, the first at `base_port`; peers one above the clients.

    None but the first is among those that the kernel gives away, if there is any way to avoid it:
    a base port among them was somebody's own choice, and then the others are near it.
    """
    avoided = range(0) if {base_port, base_port + 1} & set(given_away) else given_away
    far = (base_port + step for step in STEPS)
    above = range(base_port + SMALL_STEP, PORT_MAX, SMALL_STEP)
    below = range(base_port - SMALL_STEP, 0, -SMALL_STEP)
    found = {base_port}
    yield Ports(base_port, base_port + 1)
    for client in chain(() if avoided != given_away else far, above, below):
        pair = Ports(client, client + 1)
        fits = client not in found and pair.peer <= PORT_MAX and not set(pair) & set(avoided)
        if fits:
            found.add(client)
            yield pair


def ports_from(base_port: int, size: int, given_away: range | None = None) -> tuple[Ports, ...]:
    """The ports of a cluster that was told its first port."""
    given_away = ports_given_away() if given_away is None else given_away
    return tuple(islice(layout_from(base_port, given_away), size))


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
                raise PortTakenError(f"port {port} is {why_not_free(port)}")

    def maybe_claim(self, ports: Ports) -> bool:
        """Claim a node's two ports, or none; whether they were free."""
        before = set(self._held)
        if all(map(self._maybe_claim, ports)):
            return True
        for port in ports:
            if port in self._held and port not in before:
                self._held.pop(port).close()
        return False

    def claim_free(self, size: int, besides: Iterable[Ports] = ()) -> tuple[Ports, ...]:
        """Claim ports for `size` nodes, which are free now.

        None is one of those `besides`: the cluster needs these too, and has no claim on them yet.
        """
        needed = set(chain.from_iterable(besides))
        found: list[Ports] = []
        chooser = random.SystemRandom()
        given_away = ports_given_away()
        for _ in range(FREE_PORT_TRIES):
            if len(found) == size:
                return tuple(found)
            client = chooser.choice(FREE_PORTS[::2])
            ports = Ports(client, client + 1)
            if client in given_away and not is_within(FREE_PORTS, given_away):
                continue
            if (needed | self._held.keys()) & set(ports):
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
                claim.bind(f"\0{_claim_of(port)}")
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


def why_not_free(port: int) -> str:
    """Why a node cannot listen on a port: who has it, or that only root may."""
    if port < PRIVILEGED and os.geteuid():
        return f"below {PRIVILEGED}, which only root may use"
    return f"taken{holder_of(port)}"


def free_base_port(size: int) -> int | None:
    """A first port from which the ports of a whole cluster are free now, if there is any."""
    for base_port in range(BASE_PORT + BASE_STEP, FREE_PORTS.start, BASE_STEP):
        with PortClaims() as claims:
            if all(map(claims.maybe_claim, ports_from(base_port, size))):
                return base_port
    return None


def is_within(ports: range, others: range) -> bool:
    """Whether all of these ports are among the others."""
    return ports.start in others and ports[-1] in others


def holder_of(port: int) -> str:
    """Who listens on a port or has claimed it, as ` by NAME (pid N)`; an empty text if unknown.

    Of another user's process the system tells only whose it is: ` by a process of root`.
    """
    listening = _listening(port)
    inodes = {*listening, *_claiming(port)}
    for process in Path("/proc").glob("[0-9]*") if inodes else ():
        # A process may end meanwhile, and another user's descriptors cannot be read.
        with suppress(OSError):
            if any(_target(link) in inodes for link in (process / "fd").iterdir()):
                name = (process / "comm").read_text().strip()
                return f" by {name} (pid {process.name})"
    return next((f" by a process of {_user(uid)}" for uid in listening.values()), "")


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _listening(port: int) -> dict[str, int]:
    """The sockets that listen on a port, and their users' numbers."""
    sockets: dict[str, int] = {}
    for table in ("tcp", "tcp6"):
        for fields in _rows(table):
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                sockets[f"socket:[{fields[9]}]"] = int(fields[7])
    return sockets


def _claiming(port: int) -> set[str]:
    """The sockets that are the claim of a port, by a cluster whose node does not listen yet."""
    name = f"@{_claim_of(port)}"
    return {f"socket:[{fields[6]}]" for fields in _rows("unix") if " ".join(fields[7:]) == name}


def _rows(table: str) -> list[list[str]]:
    try:
        return [row.split() for row in Path("/proc/net", table).read_text().splitlines()[1:]]
    except OSError:
        return []


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _claim_of(port: int) -> str:
    return f"leasehold port {port}"
