"""The gatekeeper of a node's doors: who may connect, by key (ZeroMQ's ZAP, RFC 27).

libzmq asks it during each handshake of a socket that has a ZAP domain. It answers in a thread of
its own: a handshake must not wait for a loop that is busy, nor the loop for handshakes. Without a
gatekeeper a CURVE socket admits any key. Refuses to know who is a member: each door's judge does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import zmq

ADDRESS: Final = "inproc://zeromq.zap.01"
VERSION: Final = b"1.0"

ADMITTED: Final = b"200"
REFUSED: Final = b"400"
"""The other side is told so at once. After ZAP's 300 it would wait for an end of its handshake."""

REQUEST_FRAMES_MIN: Final = 6


class Applicant(NamedTuple):
    """Who asks to be let in: by which mechanism, and with which credentials.

    CURVE has the client's public key, PLAIN a name and a password, NULL nothing.
    """

    mechanism: bytes
    credentials: Sequence[bytes]
    address: str


Judge = Callable[[Applicant], str | None]
"""The user id under which an applicant is admitted; None: it is refused. Runs in the gatekeeper's
thread."""


def let_in(applicant: Applicant) -> str | None:
    """Judge of a door without keys: everybody comes in, as nobody in particular."""
    return "" if applicant.mechanism == b"NULL" else None


class Gatekeeper:
    """Answers for the domains it was given; applicants of other domains are refused."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self._judges: dict[bytes, Judge] = {}
        self._socket = context.socket(zmq.ROUTER)
        self._socket.linger = 0
        self._socket.bind(ADDRESS)
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._serve, name="gatekeeper", daemon=True)
        self._thread.start()

    def guard(self, domain: bytes, judge: Judge) -> None:
        """Ask this judge about the applicants of a domain from now on; any thread may."""
        self._judges[domain] = judge

    def close(self) -> None:
        """Answer no more. Call it before the context ends."""
        os.eventfd_write(self._stop, 1)
        self._thread.join()
        os.close(self._stop)
        self._socket.close()

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._stop, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if self._stop in ready:
                return
            self._answer(self._socket.recv_multipart())

    def _answer(self, frames: list[bytes]) -> None:
        """Answer one request: the way back, an empty frame, and then the request's own frames."""
        empty = frames.index(b"")
        way, request = frames[: empty + 1], frames[empty + 1 :]
        if len(request) < REQUEST_FRAMES_MIN:
            return  # libzmq sends no such request
        _, number, domain, address, _, mechanism, *credentials = request
        judge = self._judges.get(domain)
        applicant = Applicant(mechanism, credentials, address.decode(errors="replace"))
        user = judge(applicant) if judge is not None else None
        status, name = (REFUSED, b"") if user is None else (ADMITTED, user.encode())
        self._socket.send_multipart([*way, VERSION, number, status, b"", name, b""])
