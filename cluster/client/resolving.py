"""Host names and their addresses, looked up outside the I/O thread because a name server is slow.

Each look-up has a thread of its own, so a name server that hangs for one name holds up no other.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from cluster.client.waker import Waker

_BYTES: Final = frozenset(map(str, range(256)))
"""The parts of an IPv4 address, as the system reads them: without zeros at the front."""


class Resolved(NamedTuple):
    """The addresses of an endpoint's host, as ZeroMQ writes them, or the reason for having none."""

    name: str
    hosts: tuple[str, ...]
    reason: str


def is_numeric(host: str) -> bool:
    """Whether a host is an IPv4 address, or an IPv6 address in brackets: nothing to look up."""
    if host.startswith("["):
        return _is_ipv6(host[1:-1])
    parts = host.split(".")
    return len(parts) == 4 and all(part in _BYTES for part in parts)


def _is_ipv6(text: str) -> bool:
    import socket  # noqa: PLC0415 - few endpoints need it, and it takes milliseconds

    try:
        socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError):
        return False
    return True


class Resolver:
    """Look-ups under way; wakes the I/O thread, to which it belongs, when one is done."""

    def __init__(self, waker: Waker) -> None:
        self._waker = waker
        self._done: deque[Resolved] = deque()
        self._under_way: set[str] = set()

    def begin(self, name: str, host: str) -> None:
        """Look up the host of an endpoint, unless a look-up of it is under way."""
        if name not in self._under_way:
            self._under_way.add(name)
            threading.Thread(
                target=self._look_up, args=(name, host), name="leasehold-resolver", daemon=True
            ).start()

    def take(self) -> Iterator[Resolved]:
        """The look-ups that have ended since the last call."""
        while self._done:
            resolved = self._done.popleft()
            self._under_way.discard(resolved.name)
            yield resolved

    def _look_up(self, name: str, host: str) -> None:
        self._done.append(_resolve(name, host))
        self._waker.wake()


def _resolve(name: str, host: str) -> Resolved:
    import socket  # noqa: PLC0415 - only for names

    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except OSError as error:
        return Resolved(name, (), f"{host!r} is not found: {error.strerror or error}")
    except ValueError as error:  # a text that no name server can be asked about: an empty label
        return Resolved(name, (), f"{host!r} is not a host name: {error}")
    # IPv4 first: a node listens on IPv4 unless its flags say otherwise.
    ordered = sorted(found, key=lambda entry: entry[0] != socket.AF_INET)
    hosts = dict.fromkeys(
        str(address[0]) if family == socket.AF_INET else f"[{address[0]}]"
        for family, _, _, _, address in ordered
    )
    return Resolved(name, tuple(hosts), "")
