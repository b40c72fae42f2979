"""The sink: where the rest of a message goes that is far too long, without a look at its frames.

Python needs a microsecond for a frame, and libzmq a tenth of that: it moves the frames from the
clients' socket to a ROUTER that has no such client, and so drops them. The first frame of the next
message, which is the name of a connection, ends that by an error, and is lost. Knows frames, and
nothing of who sends them.
"""

from __future__ import annotations

import itertools
import os
from typing import Final

import zmq

_PEER_NAME_BYTES: Final = 16
"""By chance, so that no client has it."""

_numbers = itertools.count()


class Sink:
    """That of one ROUTER, which must not be bound to the network yet.

    A message of its own comes after the one that is dropped, lest libzmq waits for the next. Where
    such a message is met, `returned` must be told: it comes from no connection of the system's.

    `first_name` is the number of the first name that the ROUTER gave.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], router: zmq.Socket[bytes]) -> None:
        number = next(_numbers)
        self._router = router
        self._next = context.socket(zmq.DEALER)
        self._next.linger = 0
        router.bind(f"inproc://next-{number}")
        self._next.connect(f"inproc://next-{number}")
        self._next.send(b"")
        name, _ = router.recv_multipart()
        self.first_name = int.from_bytes(name[1:], "big")
        self._next_waits = False
        self._nowhere = context.socket(zmq.ROUTER)
        self._nowhere.linger = 0
        # A ROUTER that nobody is connected to is never ready to be sent to.
        self._peer = context.socket(zmq.DEALER)
        self._peer.linger = 0
        self._peer.setsockopt(zmq.ROUTING_ID, os.urandom(_PEER_NAME_BYTES))
        self._nowhere.bind(f"inproc://nowhere-{number}")
        self._peer.connect(f"inproc://nowhere-{number}")
        self._nowhere.poll(0)

    def drop(self) -> None:
        """Drop the rest of the message which the ROUTER is in, and the name before the next."""
        if not self._next_waits:
            self._next.send(b"")
            self._next_waits = True
        self._nowhere.setsockopt(zmq.ROUTER_MANDATORY, 0)
        self._nowhere.send(b"", zmq.SNDMORE)
        self._nowhere.setsockopt(zmq.ROUTER_MANDATORY, 1)
        try:
            zmq.proxy(self._router, self._nowhere)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise

    def returned(self) -> None:
        """Its own message has come out of the ROUTER."""
        self._next_waits = False

    def close(self) -> None:
        """Before the ROUTER closes."""
        for socket in (self._next, self._nowhere, self._peer):
            socket.close(linger=0)
