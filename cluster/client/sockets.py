"""The client's sockets: one DEALER and its monitor for each endpoint, and what wakes their poll.

Every option that bounds memory or time is set here. Frames are moved, not understood.
"""

from __future__ import annotations

import logging
import os
import socket as stdlib_socket
import sys
import threading
from collections.abc import Mapping
from typing import Any, Final

import zmq

from cluster import wire
from cluster.client.core import Core

FRAMES_PER_LOOK_MAX: Final = 256
REPLY_BYTES_MAX: Final = 1 << 30
RECEIVE_QUEUE_MESSAGES: Final = 20_000
RECONNECT_MS: Final = 20
RECONNECT_MS_MAX: Final = 500
HANDSHAKE_MS: Final = 2_000
HEARTBEAT_MS: Final = 1_000
HEARTBEAT_TIMEOUT_MS: Final = 3_000

MONITORED: Final = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED

EVENT_BYTES: Final = 2
"""The first frame of a monitor's message begins with the number of the event, 16 bits."""

_NOWAIT: Final = zmq.NOBLOCK

log = logging.getLogger("leasehold.client")


class Links:
    """One DEALER and its monitor for each endpoint; they belong to the I/O thread."""

    def __init__(self, addresses: Mapping[str, str], waker: Waker) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._waker = waker
        self._poller = zmq.Poller()
        self._poller.register(waker.fd, zmq.POLLIN)
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        self._names: dict[zmq.Socket[bytes], str] = {}
        self._monitors: dict[zmq.Socket[bytes], str] = {}
        for name, address in addresses.items():
            self._open(name, address)

    def _open(self, name: str, address: str) -> None:
        socket = self._context.socket(zmq.DEALER)
        socket.linger = 0
        # A request must never queue for a dead node: it would reach the node's next life.
        socket.setsockopt(zmq.IMMEDIATE, 1)
        # Bounded by OUTSTANDING_CALLS_MAX; a limit here would only lose requests silently.
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.setsockopt(zmq.RCVHWM, RECEIVE_QUEUE_MESSAGES)
        socket.setsockopt(zmq.MAXMSGSIZE, REPLY_BYTES_MAX)
        socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MS_MAX)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
        socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        if address.startswith("tcp://["):
            socket.setsockopt(zmq.IPV6, 1)
        monitor = socket.get_monitor_socket(MONITORED)
        socket.connect(address)
        self._sockets[name] = socket
        self._names[socket] = name
        self._monitors[monitor] = name
        self._poller.register(socket, zmq.POLLIN)
        self._poller.register(monitor, zmq.POLLIN)

    def send(self, frames: list[tuple[str, bytes]]) -> None:
        """Send all and empty the list.

        A frame that finds its connection gone is lost: the monitor will say so, and the core tries
        again.
        """
        sockets = self._sockets
        for name, frame in frames:
            try:
                sockets[name].send(frame, _NOWAIT)
            except zmq.Again:
                log.debug("dropped a request: no connection to %s", name)
        frames.clear()

    def poll(self, timeout_ms: int) -> list[tuple[Any, int]]:
        """Wait for input, or for somebody who wakes us."""
        return self._poller.poll(timeout_ms)

    def receive(self, ready: list[tuple[Any, int]], core: Core, now: float) -> None:
        """Give the core what has come. Answers first: those of a node that just died count too."""
        monitors = []
        for source, _ in ready:
            name = self._names.get(source) if source is not self._waker.fd else None
            if name is not None:
                self._receive_replies(source, name, core, now)
            elif source == self._waker.fd:
                self._waker.clear()
            else:
                monitors.append(source)
        for monitor in monitors:
            self._receive_events(monitor, self._monitors[monitor], core, now)

    def _receive_replies(
        self, socket: zmq.Socket[bytes], name: str, core: Core, now: float
    ) -> None:
        receive = socket.recv
        try:
            for _ in range(FRAMES_PER_LOOK_MAX):
                frame = receive(_NOWAIT)
                try:
                    message = wire.unpack(frame)
                except wire.WireError as error:
                    log.warning("ignored a frame from %s: %s", name, error)
                else:
                    core.reply(name, message, now)
        except zmq.Again:
            pass

    def _receive_events(
        self, monitor: zmq.Socket[bytes], name: str, core: Core, now: float
    ) -> None:
        while monitor.poll(0):
            # Read by hand: pyzmq's helper would import asyncio, which costs every command 15 ms.
            event = int.from_bytes(monitor.recv_multipart()[0][:EVENT_BYTES], sys.byteorder)
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                # The pipe is ready, but a send looks for it only now and then: make it look.
                self._sockets[name].getsockopt(zmq.EVENTS)
                core.endpoint_up(name, now)
            elif event == zmq.EVENT_DISCONNECTED and core.endpoints.is_up(name):
                core.endpoint_down(name, now)

    def close(self) -> None:
        """Close every socket; what is still queued is lost."""
        for socket in self._names:
            # Before its reader closes: libzmq waits without limit to tell it of the end.
            socket.disable_monitor()
            socket.close(linger=0)
        for monitor in self._monitors:
            monitor.close(linger=0)
        self._context.term()


class Waker:
    """Wakes a poll from any thread: an eventfd, or a socket pair where there is none."""

    def __init__(self) -> None:
        self._pair: tuple[stdlib_socket.socket, stdlib_socket.socket] | None = None
        # A descriptor that is closed may be somebody else's a moment later: never write to it then.
        self._lock = threading.Lock()
        self._closed = False
        if hasattr(os, "eventfd"):
            self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        else:
            self._pair = stdlib_socket.socketpair()
            for end in self._pair:
                end.setblocking(False)
            self.fd = self._pair[0].fileno()

    def wake(self) -> None:
        """Make the poll return, now or when it next begins."""
        with self._lock:
            if self._closed:
                return
            if self._pair is None:
                os.eventfd_write(self.fd, 1)
                return
            try:
                self._pair[1].send(b"\0")
            except BlockingIOError:
                return  # it is full, so the other side is awake already

    def clear(self) -> None:
        """Forget that it was woken; in the thread that polls."""
        try:
            if self._pair is None:
                os.eventfd_read(self.fd)
            else:
                self._pair[0].recv(4096)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Give the descriptors back."""
        with self._lock:
            self._closed = True
            if self._pair is None:
                os.close(self.fd)
                return
            for end in self._pair:
                end.close()

    def disown(self) -> None:
        """In a forked child: the descriptors are shared with the parent, so touch them no more."""
        self._lock = threading.Lock()
        self._closed = True
