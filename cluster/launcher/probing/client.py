"""The probe client: it writes, reads, watches and holds leases, and tells all that it sees.

It speaks the protocol of PROTOCOL.md with bare sockets: no session, no retries, so what it measures
is the cluster alone. It takes orders and tells records by one channel, and ends when that closes.
It refuses to judge what it sees.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import zmq

from cluster.curve import KeyPair
from cluster.key_files import CLIENT, read
from cluster.launcher.probing.leases import holds
from cluster.launcher.probing.links import Asked, ProbeAnswered, ProbeLinks
from cluster.launcher.probing.pace import Pace, Trace
from cluster.launcher.probing.records import (
    ABSENT,
    PREFIX,
    PREFIX_END,
    RECORDS_PER_MESSAGE_MAX,
    REGISTER,
    ROWS_PER_RECORD_MAX,
    Down,
    Held,
    Late,
    Operation,
    ProbeKind,
    ProbeOutcome,
    Record,
    Row,
    Seen,
    Settled,
    encode,
)
from cluster.launcher.probing.refused import Refused
from cluster.launcher.probing.watching import Watching
from cluster.wire import unpack

GIVE_UP_SECONDS: Final = 1.0
"""A request without an answer after this time has failed."""

UNDER_WAY_MAX: Final = 512
"""With this number of requests under way it sends no more: a cluster without a majority answers
none."""

UNSEEN_MAX: Final = 1_000
"""The numbered writes that the watch has not told, and whose time is remembered."""

LATE_SECONDS: Final = 0.01
"""It tells when it was held up for longer than this."""

TELL_SECONDS: Final = 0.05
"""In peace, records are told this often; while it looks closely, at once."""

RECORDS_KEPT_MAX: Final = 50_000
"""The records that wait while the launcher sleeps; then the oldest are dropped."""

ORDER_BYTES_MAX: Final = 64 * 1024

WRITE: Final = "write"
READ: Final = "read"
WATCH: Final = "watch"
CANCEL: Final = "cancel"
AGAIN: Final = "again"
GOODBYE: Final = "goodbye"
GOODBYE_SECONDS: Final = 1.5
"""How long the end may wait for what is under way, and then for the deletion of the client's keys:
in a cluster that serves, some milliseconds."""


class ProbeClient:
    """One probe client, in the thread that made it. Its pair is for nodes with keys."""

    def __init__(self, channel: socket.socket, pair: KeyPair | None) -> None:
        self._channel = channel
        channel.setblocking(False)
        self._poller = zmq.Poller()
        self._poller.register(channel, zmq.POLLIN)
        self._links = ProbeLinks(self._poller, pair)
        self._run = _new_run()
        now = time.monotonic()
        self._pace = Pace(now)
        self._holds = holds()
        self._watching = Watching()
        self._number = 0
        self._sent_at: dict[int, float] = {}
        self._told: deque[Record] = deque(maxlen=RECORDS_KEPT_MAX)
        self._tell_due = now
        # Orders to read again: the newest request's id when each was given.
        self._settling: list[tuple[int, int]] = []
        self._ended = False
        self._refused = Refused()

    def run(self) -> None:
        """Do it until the channel closes."""
        try:
            while not self._ended:
                self._wait()
                now = time.monotonic()
                self._take(now)
                self._send(now)
                self._tell(now)
        finally:
            self._links.close()
            self._channel.close()

    # --- waiting, and orders ---

    def _wait(self) -> None:
        now = time.monotonic()
        due = min(
            self._pace.write_due,
            self._pace.read_due,
            self._watching.due,
            self._tell_due if self._told else now + TELL_SECONDS,
            *(hold.due for hold in self._holds.values()),
        )
        wait = max(0.0, due - now)
        ready = self._poller.poll(int(wait * 1000 + 0.999))
        late = time.monotonic() - max(due, now)
        if late > LATE_SECONDS:
            self._told.append(Late(now + wait, now + wait + late))
        if any(source == self._channel.fileno() for source, _ in ready):
            self._obey()

    def _obey(self) -> None:
        """Take the orders that have come."""
        while True:
            try:
                message = self._channel.recv(ORDER_BYTES_MAX)
            except BlockingIOError:
                return
            except ConnectionError:
                message = b""
            if not message:
                self._ended = True  # the launcher is gone
                return
            order = unpack(message)
            now = time.monotonic()
            match order:
                case {"nodes": nodes}:
                    for answered in self._links.follow(nodes):
                        self._answered(answered, now)
                case {"closely": seconds}:
                    self._pace.look_closely(now, seconds)
                case {"again": number}:
                    self._read_again(number, now)
                case {"end": True}:
                    self._say_goodbye()
                    self._ended = True

    # --- what arrives ---

    def _take(self, now: float) -> None:
        for arrived in self._links.take():
            if isinstance(arrived, ProbeAnswered):
                self._answered(arrived, time.monotonic())
            else:
                if arrived.news is None:
                    self._told.append(Down(now, arrived.node))
                self._hear(arrived.node, arrived.news, time.monotonic())
        for answered in self._links.give_up(now - GIVE_UP_SECONDS):
            self._answered(answered, now)
        self._settle(now)

    def _answered(self, answered: ProbeAnswered, now: float) -> None:
        asked, reply = answered
        if asked.purpose == WRITE:
            self._wrote(asked, reply, now)
        elif asked.purpose == READ:
            self._read(asked, reply, now)
        elif asked.purpose == WATCH:
            if reply is not None:
                self._watching.answered(asked.node, reply, now)
        elif asked.purpose == AGAIN:
            if reply is not None and "events" in reply:
                self._told.append(self._held(asked, reply, now))
        elif asked.purpose in self._holds and reply is not None and "error" not in reply:
            hold = self._holds[asked.purpose]
            is_late = asked.number != hold.number
            news = None if is_late else hold.answered(reply, asked.began, now)
            if news is not None:
                self._told.append(news)

    def _wrote(self, asked: Asked, reply: dict[str, Any] | None, now: float) -> None:
        outcome = _outcome(reply)
        revision = 0
        if reply is not None and outcome is ProbeOutcome.DONE:
            revision = reply["header"]["revision"]
            self._pace.acknowledged(now)
            if asked.number:
                self._watching.acknowledged(revision, now)
        shut_out = None if reply is None else self._refused.heard(reply, now)
        if shut_out is not None:
            self._told.append(shut_out)
        self._told.append(
            Operation(
                ProbeKind.WRITE, asked.number, asked.node, asked.began, now, outcome, revision
            )
        )

    def _read(self, asked: Asked, reply: dict[str, Any] | None, now: float) -> None:
        # A read has no effect: without an answer it says nothing.
        outcome = (
            ProbeOutcome.DONE if _outcome(reply) is ProbeOutcome.DONE else ProbeOutcome.UNKNOWN
        )
        number = revision = 0
        if reply is not None and outcome is ProbeOutcome.DONE:
            revision = reply["header"]["revision"]
            number = self._number_in(reply["kvs"][0]["value"]) if reply["kvs"] else 0
        self._told.append(
            Operation(ProbeKind.READ, number, asked.node, asked.began, now, outcome, revision)
        )

    def _hear(self, node: str, news: dict[str, Any] | None, now: float) -> None:
        for change in self._watching.told(node, news, now):
            if change.key == REGISTER:
                number = self._number_in(change.value or b"")
                if number or change.value is None:
                    sent_at = self._sent_at.pop(number, now)
                    self._told.append(Seen(now, number, change.revision, node, sent_at))
                if change.value is None:
                    self._run = _new_run()  # a user has deleted the key: it begins again
            elif change.value is None:
                for hold in self._holds.values():
                    told = hold.deleted(change.key, change.reason, now)
                    if told is not None:
                        self._told.append(told)

    # --- what is sent ---

    def _send(self, now: float) -> None:
        left, cancel = self._watching.node, self._watching.maybe_move(now)
        if cancel is not None and left is not None:
            self._links.ask(left, CANCEL, 0, cancel, now)
        node = self._watching.choose(self._links.up(), now)
        if node is not None:
            self._links.ask(node, WATCH, 0, self._watching.request(), now)
        for hold in self._holds.values():
            if now >= hold.due:
                request = hold.request(now)
                self._links.ask_next(hold.name, hold.number, request, now)
        self._pace.maybe_suspect(now)
        if now >= self._pace.write_due:
            self._write(now)
        if now >= self._pace.read_due:
            self._pace.read(now)
            if self._links.count < UNDER_WAY_MAX:
                self._links.ask_next(READ, 0, {"op": "range", "key": REGISTER}, now)

    def _write(self, now: float) -> None:
        trace = self._pace.wrote(now)
        if self._links.count >= UNDER_WAY_MAX:
            return
        if trace is Trace.NONE:
            self._links.ask_next(WRITE, 0, {"op": "delete_range", "key": ABSENT}, now)
            return
        number = self._number + 1
        value = self._run + b"/%d" % number
        request = {"op": "put", "key": REGISTER, "value": value}
        if self._links.ask_next(WRITE, number, request, now) is not None:
            self._number = number
            self._sent_at[number] = now
            if len(self._sent_at) > UNSEEN_MAX:
                del self._sent_at[next(iter(self._sent_at))]

    def _read_again(self, order: int, now: float) -> None:
        """Ask each node for the writes that it holds: it answers when it has caught up."""
        request = {"op": "history", "key": REGISTER, "limit": ROWS_PER_RECORD_MAX}
        for node in self._links.up():
            self._links.ask(node, AGAIN, 0, request, now)
        self._settling.append((order, self._links.last_id))

    def _settle(self, now: float) -> None:
        oldest = self._links.oldest()
        while self._settling and (oldest is None or oldest.id > self._settling[0][1]):
            self._told.append(Settled(self._settling.pop(0)[0], now))

    def _say_goodbye(self) -> None:
        """Delete the client's keys and leases, if that can be done soon."""
        if self._pace.is_waiting(time.monotonic()):
            return
        # First what is under way: a write that another node passes on could come after the end.
        self._drain(time.monotonic() + GOODBYE_SECONDS)
        requests: list[dict[str, Any]] = [
            {"op": "delete_range", "key": PREFIX, "range_end": PREFIX_END}
        ]
        requests += [
            {"op": "lease_revoke", "ID": hold.lease} for hold in self._holds.values() if hold.lease
        ]
        now = time.monotonic()
        for request in requests:
            self._links.ask_next(GOODBYE, 0, request, now)
        self._drain(now + GOODBYE_SECONDS)

    def _drain(self, until: float) -> None:
        """Wait until no request is under way, but no longer than that."""
        while self._links.count and (wait := until - time.monotonic()) > 0:
            self._poller.poll(int(wait * 1000 + 0.999))
            self._take(time.monotonic())

    # --- what is told ---

    def _held(self, asked: Asked, reply: dict[str, Any], now: float) -> Held:
        rows = tuple(
            Row(
                self._number_in(event["kv"].get("value", b"")),
                event["kv"]["mod_revision"],
                event["kv"].get("version", 0),
            )
            for event in reply["events"]
        )
        is_all = not reply["more"] and not reply["compacted"]
        return Held(asked.node, asked.began, now, reply["header"]["revision"], rows, is_all)

    def _number_in(self, value: bytes) -> int:
        """The number of a value that this client has written; 0 for any other."""
        run, _, number = value.partition(b"/")
        return int(number) if run == self._run else 0

    def _tell(self, now: float) -> None:
        if not self._told or (now < self._tell_due and not self._pace.is_close(now)):
            return
        self._tell_due = now + TELL_SECONDS
        while self._told:
            size = min(len(self._told), RECORDS_PER_MESSAGE_MAX)
            records = [self._told.popleft() for _ in range(size)]
            try:
                self._channel.send(encode(records))
            except BlockingIOError:  # the launcher sleeps: it is told later
                self._told.extendleft(reversed(records))
                return
            except ConnectionError:
                self._ended = True
                return


def _new_run() -> bytes:
    """What distinguishes the values of this client from those of any other, earlier or later."""
    return os.urandom(6).hex().encode()


def _outcome(reply: dict[str, Any] | None) -> ProbeOutcome:
    if reply is None:
        return ProbeOutcome.UNKNOWN
    error = reply.get("error")
    if error is None:
        return ProbeOutcome.DONE
    return ProbeOutcome.UNKNOWN if error.get("unknown") else ProbeOutcome.REFUSED


def run(channel: socket.socket, key_file: str) -> None:
    """Run a client on this channel until it closes; its own key is in the file, if there is one."""
    pair = read(Path(key_file), CLIENT).pair if key_file else None
    with suppress(KeyboardInterrupt):
        ProbeClient(channel, pair).run()
