"""The sink: drops the rest of a message that has too many frames, without reading them in Python.

Python needs a microsecond for a frame, libzmq a tenth of that. So libzmq's proxy moves the frames
from the clients' socket to a second ROUTER, which has no such client and so drops them. The proxy
ends with an error at the first frame of the next message. That frame is the name of a connection,
and it is lost. The sink knows frames, and refuses to know who sends them.
"""

from __future__ import annotations

import itertools
import os
from typing import Final

import zmq

_PEER_NAME_BYTES: Final = 16
"""The length of a random name, so that no client has the same one."""

_numbers = itertools.count()


class Sink:
    """The sink of one ROUTER, which must not be bound to the network yet.

    The sink sends an empty message of its own behind the message to drop. Without it, the proxy
    would wait until some client sends again. The reader of the ROUTER calls `returned` when it
    receives that message, and knows it by this: it has no descriptor, for no network brought it.

    `first_name` is the counter value in the first name that the ROUTER gave.
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
        # A ROUTER without a connection is never ready for sending, so the proxy would wait.
        self._peer = context.socket(zmq.DEALER)
        self._peer.linger = 0
        self._peer.setsockopt(zmq.ROUTING_ID, os.urandom(_PEER_NAME_BYTES))
        self._nowhere.bind(f"inproc://nowhere-{number}")
        self._peer.connect(f"inproc://nowhere-{number}")
        self._nowhere.poll(0)

    def drop(self) -> None:
        """Drop the rest of the message that the ROUTER is in, and the name in front of the next."""
        # The empty first frame names no client. It is not mandatory to have one for it, so libzmq
        # drops the frames behind it; for the next message it is, and the proxy ends there.
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
        """The sink's own message has come out of the ROUTER; the next `drop` sends a new one."""
        self._next_waits = False

    def close(self) -> None:
        """Close the sink's sockets; call it before the ROUTER closes."""
        for socket in (self._next, self._nowhere, self._peer):
            socket.close(linger=0)
