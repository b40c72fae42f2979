"""Who is behind the connections that a front passes on: what it tells its node by a pipe.

The node sees the front's address there. So before the front passes on the first byte of a client,
it writes a line: the port that this connection comes from, and the client's address. Whoever reads
that byte can read the line. Refuses to know what is passed on.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import Final

PIPE_BYTES: Final = 1024 * 1024
"""Room for some 30,000 lines, where the system lets a pipe be so large; else for 2,000."""

READ_BYTES: Final = 64 * 1024


def open_pipe() -> tuple[int, int]:
    """A pipe for the lines: the end of the node, and that of its front."""
    ends = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    with suppress(OSError):
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return ends


class PassageTeller:
    """The front's end; `descriptor` is inherited."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def tell(self, port: int, address: str) -> bool:
        """Say which client is behind the connection from this port; False: that cannot be said."""
        try:
            os.write(self._descriptor, f"{port} {address}\n".encode())
        except OSError:  # the pipe is full, or the node has gone
            return False
        return True


class PassageBook:
    """The node's end: the clients that were told of and not asked for yet."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._begun = b""
        # By port: no more than there are.
        self._addresses: dict[int, str] = {}

    def read(self) -> None:
        """Take the lines that have come, so that the pipe has room."""
        with suppress(BlockingIOError):
            while data := os.read(self._descriptor, READ_BYTES):
                *lines, self._begun = (self._begun + data).split(b"\n")
                for line in lines:
                    port, _, address = line.decode().partition(" ")
                    self._addresses[int(port)] = address

    def client_at(self, port: int) -> str:
        """The address of the client behind the connection from this port; "" if none was told.

        Ask once for each connection: the next one from this port may be told of by then.
        """
        self.read()
        return self._addresses.pop(port, "")
