"""Prober: the launcher's side of the probe client, which it starts as a process and hears.

The client measures the cluster alone: in a process of its own, the launcher's tables and pages do
not delay its clock, and its writes do not delay the launcher. It ends when the launcher does.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from cluster.launcher.probing.history import History
from cluster.launcher.probing.records import (
    LOST,
    LeaseNews,
    Operation,
    Outcome,
    Record,
    Seen,
    Settled,
    decode,
)
from cluster.processes import import_environment
from cluster.wire import pack

MESSAGE_BYTES_MAX: Final = 1024 * 1024
CHANNEL_BYTES: Final = 512 * 1024
"""The room for what waits in the channel, each way."""

END_SECONDS: Final = 5.0
"""A client that runs this long after it was told to end is killed."""


class Sample(NamedTuple):
    """What one request, event or lease of the client showed.

    `kind`: write, read, watch or lease. `ms`: how long it took; for an event, since its write was
    sent. A lease's is 0; it is not `ok` when it ended before its time.
    """

    at: float
    kind: str
    ms: float
    ok: bool


class Prober:
    """The probe client of a cluster: `nodes` are the voters' addresses, HOST:PORT, by name."""

    def __init__(self, nodes: Mapping[str, str]) -> None:
        self._nodes = dict(nodes)
        self._channel: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._orders = 0
        self._settled = 0
        self.history = History()

    @property
    def fd(self) -> int:
        """Readable when the client has told something; -1 while it does not run."""
        return -1 if self._channel is None else self._channel.fileno()

    @property
    def pid(self) -> int:
        """The client's process."""
        return 0 if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the client."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHANNEL_BYTES)
        with theirs:
            self._process = subprocess.Popen(
                (sys.executable, "-P", "-m", "cluster.launcher.probing", str(theirs.fileno())),
                stdin=subprocess.DEVNULL,
                env=import_environment(),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # the terminal's Ctrl-C is for the launcher alone
            )
        ours.setblocking(False)
        self._channel = ours
        self._order({"nodes": self._nodes})

    def follow(self, nodes: Mapping[str, str]) -> None:
        """The voters are these from now on."""
        if dict(nodes) != self._nodes:
            self._nodes = dict(nodes)
            self._order({"nodes": self._nodes})

    def look_closely(self, seconds: float) -> None:
        """Have the client write and read more often for this time."""
        self._order({"closely": seconds})

    def read_again(self) -> int:
        """Have each node asked which numbered writes it holds; the order's number."""
        self._orders += 1
        self._order({"again": self._orders})
        return self._orders

    def is_settled(self, order: int) -> bool:
        """Whether this order is carried out, and all that was asked before it has ended."""
        return self._settled >= order

    def take(self) -> list[Sample]:
        """What the client has shown since the last call."""
        samples = map(_sample_of, self.receive())
        return [sample for sample in samples if sample is not None]

    def receive(self) -> list[Record]:
        """What the client has told since the last call, for those who want to know all of it."""
        records: list[Record] = []
        while self._channel is not None:
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
        for record in records:
            if isinstance(record, Operation):
                self.history.add(record)
            elif isinstance(record, Seen) and not record.number:
                self.history.begin_again(record.at)
            elif isinstance(record, Settled):
                self._settled = record.order
        return records

    def stop(self) -> None:
        """End the client; it deletes its keys if that can be done at once."""
        process = self._process
        if process is None:
            return
        self._order({"end": True})
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._forget()

    def _order(self, order: dict[str, Any]) -> None:
        if self._channel is None:
            return
        try:
            self._channel.send(pack(order))
        except ConnectionError:
            self._forget()

    def _forget(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            self._process.wait()
            self._process = None


def _sample_of(record: Record) -> Sample | None:
    match record:
        case Operation(kind, _, _, began, ended, outcome):
            took_ms = 1000 * (ended - began)
            return Sample(ended, kind.name.lower(), took_ms, outcome is Outcome.DONE)
        case Seen(at, number, _, _, sent_at) if number:
            return Sample(at, "watch", 1000 * (at - sent_at), ok=True)
        case LeaseNews(at, _, what):
            return Sample(at, "lease", 0.0, ok=what != LOST)
    return None
