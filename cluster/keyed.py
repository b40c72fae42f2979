"""Listening under a key (CURVE): the ports of a door, which stay its own when its key changes.

And the other end: a socket that is sealed for whoever listens.

libzmq copies the options of a socket when it binds, so a new key takes another bind. The system's
listening sockets are made here, and libzmq gets copies of their descriptors: no other process can
take a port meanwhile, and a client that connects in between just waits.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Final

import zmq

from cluster.curve import KeyPair, z85
from cluster.schemes import LISTEN_BACKLOG, zeromq_url

SEAL_BYTES: Final = 33
"""What CURVE adds to each frame: a command's name (8 bytes), a nonce (8), a MAC (16), flags (1)."""

NO_DESCRIPTOR: Final = -1
"""ZMQ_USE_FD's value for "none": libzmq makes a socket by itself."""


def seal(connecting: zmq.Socket[bytes], key: str, pair: KeyPair) -> None:
    """Have a socket believe only the holder of this public key, and come as the pair's owner."""
    connecting.setsockopt(zmq.CURVE_SERVERKEY, z85(key))
    connecting.setsockopt(zmq.CURVE_PUBLICKEY, z85(pair.public))
    connecting.setsockopt(zmq.CURVE_SECRETKEY, z85(pair.secret))


class KeyedPorts:
    """The ports of one door; OSError, which names the URL, when one cannot be bound."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._listening: list[socket.socket] = []
        try:
            for url in urls:
                self._listening.append(_listen(url))
        except OSError:
            self.close()
            raise
        self._bound: list[str] = []

    @property
    def last_port(self) -> int:
        """The port of the last URL."""
        return int(self._listening[-1].getsockname()[1])

    def serve(self, door: zmq.Socket[bytes], pair: KeyPair) -> None:
        """Have the door listen under this pair; connections under an earlier one end."""
        for endpoint in self._bound:
            door.unbind(endpoint)
        self._bound.clear()
        door.setsockopt(zmq.CURVE_SERVER, 1)
        door.setsockopt(zmq.CURVE_SECRETKEY, z85(pair.secret))
        if any(each.family == socket.AF_INET6 for each in self._listening):
            door.setsockopt(zmq.IPV6, 1)
        for listening in self._listening:
            # libzmq closes the copy when it stops listening.
            door.setsockopt(zmq.USE_FD, os.dup(listening.fileno()))
            door.bind(_address_of(listening))
            self._bound.append(door.get_string(zmq.LAST_ENDPOINT))
        door.setsockopt(zmq.USE_FD, NO_DESCRIPTOR)

    def close(self) -> None:
        """Give the ports back, once the door is closed."""
        for listening in self._listening:
            listening.close()


def _listen(url: str) -> socket.socket:
    host, _, port = zeromq_url(url).partition("://")[2].rpartition(":")
    host = "0.0.0.0" if host == "*" else host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, 0 if port == "*" else int(port)))
        listening.listen(LISTEN_BACKLOG)
    except OSError as error:
        listening.close()
        raise OSError(error.errno, f"cannot listen on {url}: {error.strerror}") from None
    return listening


def _address_of(listening: socket.socket) -> str:
    host, port, *_ = listening.getsockname()
    return (
        f"tcp://[{host}]:{port}" if listening.family == socket.AF_INET6 else f"tcp://{host}:{port}"
    )
