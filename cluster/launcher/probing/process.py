"""ClientProcess: the probe client as a process of its own, and the launcher's end of its channel.

It measures the cluster alone: in a process of its own, the launcher's tables and pages do not delay
its clock, and its writes do not delay the launcher. It ends when the launcher does.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from cluster.launcher.probing.records import Record, decode
from cluster.private import append
from cluster.processes import import_environment
from cluster.wire import pack

MESSAGE_BYTES_MAX: Final = 1024 * 1024
CHANNEL_BYTES: Final = 512 * 1024
"""The room for what waits in the channel, each way."""

END_SECONDS: Final = 5.0
"""A client that runs this long after it was told to end is killed."""


class ClientProcess:
    """A probe client that runs, until it is stopped or has ended by itself.

    What it has to say of its own mistakes goes to the end of the file `log`. Nodes with keys know
    it by the key in `key_file`.
    """

    def __init__(self, log: Path, key_file: str = "") -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHANNEL_BYTES)
        with theirs, append(log) as stderr:
            command = (sys.executable, "-P", "-m", "cluster.launcher.probing")
            self._process = subprocess.Popen(
                (*command, str(theirs.fileno()), key_file),
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                env=import_environment(),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # the terminal's Ctrl-C is for the launcher alone
            )
        ours.setblocking(False)
        self._channel = ours
        self.has_ended = False

    @property
    def fd(self) -> int:
        """Readable when the client has told something, or has ended; -1 once it is known to."""
        return self._channel.fileno()

    @property
    def pid(self) -> int:
        """The client's process."""
        return self._process.pid

    def follow(self, nodes: dict[str, str]) -> bool:
        """The nodes to use are these, addresses by name: HOST:PORT or HOST:PORT#KEY. Whether it
        will know."""
        return self._order({"nodes": nodes})

    def look_closely(self, seconds: float) -> None:
        """Have it write and read more often for this time."""
        self._order({"closely": seconds})

    def read_again(self, number: int) -> None:
        """Have it ask each node for its numbered writes; it tells this number when it has done."""
        self._order({"again": number})

    def receive(self) -> list[Record]:
        """What the client has told since the last call."""
        records: list[Record] = []
        while not self.has_ended:
            try:
                message = self._channel.recv(MESSAGE_BYTES_MAX)
            except BlockingIOError:
                break
            except ConnectionError:
                message = b""
            if not message:
                self._forget()
                break
            records += decode(message)
        return records

    def stop(self) -> None:
        """End the client; it deletes its keys if that can be done at once."""
        if not self._order({"end": True}):
            self._channel.close()  # that ends it, too
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._forget()

    def _order(self, order: dict[str, Any]) -> bool:
        """Tell the client to do something; false if it has ended, or does not take orders now."""
        if self.has_ended:
            return False
        try:
            self._channel.send(pack(order))
        except BlockingIOError:  # somebody has paused it, and the channel is full
            return False
        except ConnectionError:
            self._forget()
            return False
        return True

    def _forget(self) -> None:
        self.has_ended = True
        self._channel.close()
        self._process.wait()
