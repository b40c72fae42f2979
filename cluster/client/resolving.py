"""Where host names lead to, looked up in threads of their own: a name server may take its time.

Each name has a thread while it is looked up, so one that hangs keeps nobody else waiting.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from cluster.client.waker import Waker


class Resolved(NamedTuple):
    """What was found for an endpoint: addresses as ZeroMQ writes them, or why there is none."""

    name: str
    hosts: tuple[str, ...]
    reason: str


def is_numeric(host: str) -> bool:
    """Whether a host is an IPv4 address, or an IPv6 address in brackets: nothing to look up."""
    family, text = socket.AF_INET, host
    if host.startswith("["):
        family, text = socket.AF_INET6, host[1:-1]
    try:
        socket.inet_pton(family, text)
    except (OSError, ValueError):
        return False
    return True


class Resolver:
    """Look-ups under way; the waker is woken when one is done. Belongs to the I/O thread."""

    def __init__(self, waker: Waker) -> None:
        self._waker = waker
        self._done: deque[Resolved] = deque()
        self._under_way: set[str] = set()

    def begin(self, name: str, host: str) -> None:
        """Look a host up for an endpoint, unless that is under way."""
        if name not in self._under_way:
            self._under_way.add(name)
            threading.Thread(
                target=self._look_up, args=(name, host), name="leasehold-resolver", daemon=True
            ).start()

    def take(self) -> Iterator[Resolved]:
        """What was found since the last call."""
        while self._done:
            resolved = self._done.popleft()
            self._under_way.discard(resolved.name)
            yield resolved

    def _look_up(self, name: str, host: str) -> None:
        self._done.append(_resolve(name, host))
        self._waker.wake()


def _resolve(name: str, host: str) -> Resolved:
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except OSError as error:
        return Resolved(name, (), f"{host!r} is not found: {error.strerror or error}")
    except ValueError as error:  # what no name server was asked, an empty label for instance
        return Resolved(name, (), f"{host!r} is no host name: {error}")
    # IPv4 first: a node listens there unless it was told otherwise.
    ordered = sorted(found, key=lambda entry: entry[0] != socket.AF_INET)
    hosts = dict.fromkeys(
        str(address[0]) if family == socket.AF_INET else f"[{address[0]}]"
        for family, _, _, _, address in ordered
    )
    return Resolved(name, tuple(hosts), "")
