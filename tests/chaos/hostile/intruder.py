"""One hostile client: does one kind of harm again and again, and counts what it sees.

Each time it is somebody else. Knows where the nodes are, what anybody can ask of them, and who must
not be let in; not what the harm is.
"""

from __future__ import annotations

import random
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgpack

from tests.chaos.hostile.curve import SealedConnection
from tests.chaos.hostile.person import NOBODY, Person, Secrets, tls_of
from tests.chaos.hostile.zmtp import READ_BYTES, Connection

ACTS_MAX: Final = 100_000
"""A hostile client ends after this number of acts, however long the campaign is."""

THROUGH: Final = "got through: "
"""How it is told that somebody was let in or served who must not be."""

LET_IN: Final = "let in at a client port"
ASKING: Final = b"GET /version HTTP/1.1\r\nHost: front\r\n\r\n"

Address = tuple[str, int]


class Facts(NamedTuple):
    """What the nodes said of themselves last; members by name.

    `fronts` are the client ports; `doors` are the nodes' own, which take ZeroMQ only. `token` is
    that of a user without rights, where requests are checked. `secrets`: there are keys, and the
    fronts want certificates.
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
    secrets: Secrets | None = None


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
    """A thread that acts until it is stopped. `facts` returns the present ones.

    `people` are those that it may be, each with what they all see.
    """

    def __init__(
        self,
        name: str,
        kind: Kind,
        facts: Callable[[], Facts],
        sight: Sight,
        stopping: threading.Event,
        people: Sequence[tuple[Person, Sight]],
    ) -> None:
        super().__init__(daemon=True, name=name)
        self.chance = random.Random(name)
        self.facts = facts
        self.sight = sight
        self.stopping = stopping
        self.person, self._seen_by_person = NOBODY, Sight()
        self._people = people
        self._kind = kind

    def run(self) -> None:
        # Not all at the same moment.
        self.stopping.wait(self.chance.uniform(0, self._kind.pause_seconds))
        for _ in range(ACTS_MAX):
            if self.stopping.is_set():
                return
            self.person, self._seen_by_person = self.chance.choice(self._people)
            try:
                self._kind.act(self)
            except TimeoutError:
                self._saw("not taken in time")
            except OSError as error:
                self._saw(_words(error))
            self.sight.add_act()
            self._seen_by_person.add_act()
            self.stopping.wait(self.chance.uniform(0.5, 1.5) * self._kind.pause_seconds)

    # --- where ---

    def client_address(self) -> Address:
        """Where a node takes ZeroMQ: its client port, or its own."""
        facts = self.facts()
        return self.chance.choice([*facts.fronts.values(), *facts.doors.values()])

    def front_address(self) -> Address:
        """Any node's client port, where its front listens."""
        return self.chance.choice(list(self.facts().fronts.values()))

    def any_node(self) -> str:
        """The name of any node."""
        return self.chance.choice(list(self.facts().doors))

    # --- as whom ---

    def call_on(
        self, kind: bytes = b"DEALER", identity: bytes = b"", *, small_buffer: bool = False
    ) -> Connection:
        """A connection to any node's client port, with its handshake done."""
        if self.chance.random() < 0.5:
            return _shaken(self.reach_front(small_buffer=small_buffer), kind, identity)
        name = self.any_node()
        connection = self._to(name, self.facts().doors[name], small_buffer)
        shaken = _shaken(connection, kind, identity)
        if self.facts().secrets is not None and self.person.pair is None:
            self.saw_through("a client port without a key")
        self._seen_by_person.add(LET_IN)
        return shaken

    def call_on_peer(self, name: str) -> Connection:
        """A connection to that node's peer port, with its handshake done."""
        connection = self._to(name, self.facts().peers[name], small_buffer=False)
        shaken = _shaken(connection, b"PUSH", b"")
        if self.facts().secrets is not None:
            self.saw_through("the peer port")
        return shaken

    def reach_front(self, *, small_buffer: bool = False) -> Connection:
        """A connection to any node's front: inside TLS, where fronts want that.

        Somebody without a right certificate asks a harmless question, and an answer got through.
        """
        connection = Connection(self.front_address(), small_buffer)
        if self.facts().secrets is None:
            return connection
        try:
            connection.socket = tls_of(self.person).wrap_socket(connection.socket)
            if not self.person.is_invited:
                connection.send(ASKING)
                if connection.socket.recv(READ_BYTES):
                    self.saw_through("a front without a certificate")
                raise ConnectionError("closed by the front, with no answer")
        except BaseException:
            connection.socket.close()
            raise
        self._seen_by_person.add(LET_IN)
        return connection

    def _to(self, name: str, address: Address, small_buffer: bool) -> Connection:
        secrets, pair = self.facts().secrets, self.person.pair
        if secrets is None or pair is None:
            return Connection(address, small_buffer)
        return SealedConnection(address, pair, secrets.keys[name], small_buffer=small_buffer)

    # --- what it sees ---

    def saw_through(self, what: str) -> None:
        """Somebody was let in or served who must not be."""
        self._saw(f"{THROUGH}{what} by {self.person.name}")

    def _saw(self, what: str) -> None:
        self.sight.add(what)
        self._seen_by_person.add(what)

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
    text = error["message"] if isinstance(error, dict) else answer.get("cancel_reason")
    return f"“{text}”" if text else "answered"


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
    if isinstance(error, ssl.SSLError):
        return f"refused in TLS: {error.reason or 'it ends'}"
    return str(error) if error.errno is None else "closed by the node"
