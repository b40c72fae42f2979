"""One hostile client: does one kind of harm again and again, and counts what it sees.

Knows where the nodes are and what anybody can ask of them; not what the harm is.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgpack

from tests.chaos.hostile.zmtp import Connection

ACTS_MAX: Final = 100_000
"""A hostile client ends after this number of acts, however long the campaign is."""

Address = tuple[str, int]


class Facts(NamedTuple):
    """What the nodes said of themselves last; members by name.

    `fronts` are the client ports; `doors` are the nodes' own, which take ZeroMQ only. `token` is
    that of a user without rights, where requests are checked.
    """

    fronts: Mapping[str, Address]
    doors: Mapping[str, Address]
    peers: Mapping[str, Address]
    members: Mapping[str, int]
    cluster_id: int
    term: int
    leader: int
    log_index: int
    token: str = ""


class Sight:
    """What the hostile clients of one kind did and saw. Any thread may add to it."""

    def __init__(self) -> None:
        self.acts = 0
        self.seen: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, what: str, count: int = 1) -> None:
        """Something was seen."""
        with self._lock:
            self.seen[what] += count

    def add_act(self) -> None:
        """One more act is done."""
        with self._lock:
            self.acts += 1


class Intruder(threading.Thread):
    """A thread that acts until it is stopped. `facts` returns the present ones."""

    def __init__(
        self,
        name: str,
        kind: Kind,
        facts: Callable[[], Facts],
        sight: Sight,
        stopping: threading.Event,
    ) -> None:
        super().__init__(daemon=True, name=name)
        self.chance = random.Random(name)
        self.facts = facts
        self.sight = sight
        self.stopping = stopping
        self._kind = kind

    def run(self) -> None:
        # Not all at the same moment.
        self.stopping.wait(self.chance.uniform(0, self._kind.pause_seconds))
        for _ in range(ACTS_MAX):
            if self.stopping.is_set():
                return
            try:
                self._kind.act(self)
            except TimeoutError:
                self.sight.add("not taken in time")
            except OSError as error:
                self.sight.add(_words(error))
            self.sight.add_act()
            self.stopping.wait(self.chance.uniform(0.5, 1.5) * self._kind.pause_seconds)

    def client_address(self) -> Address:
        """Where a node takes ZeroMQ: its client port, or its own."""
        facts = self.facts()
        return self.chance.choice([*facts.fronts.values(), *facts.doors.values()])

    def front_address(self) -> Address:
        """Any node's client port, where its front listens."""
        return self.chance.choice(list(self.facts().fronts.values()))

    def call_on(self, kind: bytes = b"DEALER", identity: bytes = b"") -> Connection:
        """A connection to any node's client port, with its handshake done."""
        return _shaken(Connection(self.client_address()), kind, identity)

    def call_on_peer(self, name: str) -> Connection:
        """A connection to that node's peer port, with its handshake done."""
        return _shaken(Connection(self.facts().peers[name]), b"PUSH", b"")

    def saw_answers(self, connection: Connection, count: int, seconds: float) -> None:
        """Wait for that number of answers, and count the kinds of them."""
        left = count
        for frames in connection.messages(count, seconds):
            left -= 1
            self.sight.add(kind_of_answer(frames[-1]))
        if left:
            self.sight.add("no answer", left)

    def hold(self, seconds: float) -> None:
        """Keep things as they are for a while."""
        self.stopping.wait(seconds)


class Kind(NamedTuple):
    """A kind of harm: what one act of it is, and how long to wait between two."""

    name: str
    act: Callable[[Intruder], None]
    pause_seconds: float


def kind_of_answer(payload: bytes) -> str:
    """An answer in a few words: an error's own, or that it is none."""
    try:
        answer = msgpack.unpackb(payload, strict_map_key=False)
    except (ValueError, msgpack.UnpackException):
        return "an answer that is no msgpack"
    if not isinstance(answer, dict):
        return "an answer that is no map"
    error = answer.get("error")
    return f"“{error['message']}”" if isinstance(error, dict) else "answered"


def _shaken(connection: Connection, kind: bytes, identity: bytes) -> Connection:
    try:
        connection.shake_hands(kind, identity)
    except BaseException:
        connection.socket.close()
        raise
    return connection


def _words(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens"
    return str(error) if error.errno is None else "closed by the node"
