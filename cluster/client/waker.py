"""Waker: ends the poll of one thread from another thread."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket as stdlib_socket


class Waker:
    """Wakes a poll from any thread: an eventfd, or a socket pair where there is none."""

    def __init__(self) -> None:
        self._pair: tuple[stdlib_socket.socket, stdlib_socket.socket] | None = None
        # Once the descriptor is closed, its number may at once belong to another file. The lock
        # makes sure that `wake` never writes to it then.
        self._lock = threading.Lock()
        self._closed = False
        if hasattr(os, "eventfd"):
            self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        else:
            import socket as stdlib_socket  # noqa: PLC0415 - Linux needs none

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
                return  # the buffer is full of wake-ups that the other side has yet to read

    def clear(self) -> None:
        """Forget the wake-ups so far; called in the thread that polls."""
        try:
            if self._pair is None:
                os.eventfd_read(self.fd)
            else:
                self._pair[0].recv(4096)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Close the descriptors; a later `wake` does nothing."""
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
