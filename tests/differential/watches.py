"""The watches of one program on two servers: what each was told, and whether that is the same.

A watch is known by its number in the program, since servers choose ids. What a stream delivers is
kept a watch: events in order, and how it ended. Servers deliver in their own time and batch past
revisions as they like, so streams are compared only after `settle` has put a key into each watch's
interval and both servers have delivered that. No revision may be in two messages.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Self

from tests.differential.language import Fields, Op
from tests.differential.sides import ANSWER_SECONDS, Stream

if TYPE_CHECKING:
    from tests.differential.runner import Pair, Server

POLL_SECONDS: Final = 0.01
NOPUT: Final = "NOPUT"
NODELETE: Final = "NODELETE"
BEFORE_ALL: Final = -(1 << 62)
NEVER: Final = 1 << 62
"""Revisions that every watch has seen, and that only an ended one has reached."""

Answers = tuple[Any, Any] | None
"""Etcd's and ours where they differ."""


class Heard:
    """What one server has told one watch."""

    def __init__(self) -> None:
        self.events: list[Fields] = []
        self.revision = BEFORE_ALL
        self.swept = BEFORE_ALL
        self.ending: Fields | None = None
        self.fault = ""
        self._fragments: list[Fields] = []

    def take(self, message: Fields) -> None:
        """Note one message of the watch; one that was cut in fragments, when the last is there."""
        if self.ending is not None:
            self.fault = f"told after its end: {message}"
        events = self._fragments + message.get("events", [])
        self._fragments = events if message.get("fragment") else []
        if self._fragments:
            return
        if events:
            self._check(events, message["header"].get("revision", 0))
        self.events += events
        if message.get("canceled"):
            self.ending = {
                "canceled": True,
                "compact_revision": message.get("compact_revision"),
            }

    def _check(self, events: list[Fields], header_revision: int) -> None:
        revisions = [event["kv"]["mod_revision"] for event in events]
        if revisions[0] <= self.revision:
            self.fault = f"a revision in two messages, or twice: {events[0]}"
        if revisions != sorted(revisions):
            self.fault = f"out of order: {events}"
        if header_revision < revisions[-1]:
            self.fault = f"a header before its events: {header_revision}, {events[-1]}"
        self.revision = revisions[-1]

    def reached(self, revision: int) -> bool:
        """Whether it has ended, or seen this revision."""
        return self.ending is not None or self.revision >= revision

    def told(self, until: int) -> Fields:
        """What it was told up to a revision, which is forgotten here; to compare and to print."""
        told = [event for event in self.events if event["kv"]["mod_revision"] <= until]
        self.events = self.events[len(told) :]
        # Of what happened at the compacted revision etcd may tell or not: its sweeper's chance.
        told = [event for event in told if event["kv"]["mod_revision"] != self.swept]
        return {"events": told, "ending": self.ending, "fault": self.fault}


class Ear:
    """One server's stream, and what its watches have heard."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stream: Stream | None = None
        self._numbers: dict[int, int] = {}
        self._creating = 0
        self.heard: dict[int, Heard] = {}
        self._answers: list[Fields] = []

    @property
    def stream(self) -> Stream:
        """The connection, opened when the program first watches."""
        if self._stream is None:
            self._stream = self._server.side.open_stream()
        return self._stream

    def close(self) -> None:
        """End the connection, if there was one."""
        if self._stream is not None:
            self._stream.close()

    def listen(self, timeout_seconds: float) -> None:
        """Take what has come."""
        for message in self.stream.receive(timeout_seconds):
            self._take(self._server.relative(message))

    def answer(self) -> Fields:
        """The next answer to a request, waited for; an empty one if none comes in time."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while not self._answers and time.monotonic() < deadline:
            self.listen(POLL_SECONDS)
        return self._answers.pop(0) if self._answers else {}

    def create(self, number: int, fields: Fields) -> None:
        """Ask for a watch, which has this number in the program; `answer` is next."""
        self._creating = number
        self.stream.send("watch_create", fields)

    def id_of(self, number: int) -> int:
        """The id of a watch that has begun here."""
        return next(watch_id for watch_id, known in self._numbers.items() if known == number)

    def _take(self, message: Fields) -> None:
        watch_id = message.get("watch_id", 0)
        if message.get("created") and not message.get("canceled"):
            self._numbers[watch_id] = self._creating
            self.heard[self._creating] = Heard()
            self._answers.append(message)
            return
        if "error" in message or watch_id not in self._numbers:
            self._answers.append(message)
            return
        self.heard[self._numbers[watch_id]].take(message)


class Watches:
    """All watches of the program under way, on both servers."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._etcd = Ear(pair.etcd)
        self._own = Ear(pair.own)
        self._count = 0
        self._live: dict[int, Fields] = {}
        self._starts: dict[int, int] = {}
        self._used_up: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._etcd.close()
        self._own.close()

    def create(self, operation: Op) -> Answers:
        """Begin a watch on both."""
        chosen = operation.fields.get("watch_id", 0)
        if chosen in self._used_up:
            return None  # by a watch that compaction ended: etcd gives that id to nobody again
        fields = self._pair.own.fields_of(operation, self._pair.revision)
        start = fields.get("start_revision", 0) - self._pair.own.base
        doomed = "start_revision" in fields and start < self._pair.compacted
        for ear, server in self._sides():
            ear.create(self._count, server.fields_of(operation, self._pair.revision))
        etcd, own = [ear.answer() for ear, _ in self._sides()]
        if etcd != own:
            return etcd, own
        number = self._count
        self._count += 1
        if not etcd.get("created") or etcd.get("canceled"):
            return None
        self._live[number] = operation.fields
        self._starts[number] = NEVER if doomed else start
        for ear, _ in self._sides():
            ear.heard[number].swept = self._pair.compacted
        if not doomed:
            return None
        self._used_up.add(chosen)
        self._wait({number: NEVER})
        return self._compare({})

    def cancel(self, operation: Op) -> Answers:
        """End one of the live watches: the one that `nth` counts, round and round."""
        found = self.settle()
        if found is not None or not self._live:
            return found
        number = list(self._live)[operation.fields.get("nth", 0) % len(self._live)]
        for ear, _ in self._sides():
            ear.stream.send("watch_cancel", {"watch_id": ear.id_of(number)})
        self._wait({number: NEVER})
        return self._compare({})

    def wait(self, operation: Op) -> Answers:
        """Wait until both have told a watch so many events, of which no put is the cause."""
        (number,) = self._live  # such a program has one watch
        deadline = time.monotonic() + ANSWER_SECONDS
        heard = [ear.heard[number] for ear, _ in self._sides()]
        while time.monotonic() < deadline:
            self._etcd.listen(POLL_SECONDS)
            self._own.listen(0.0)
            if all(len(one.events) >= operation.fields["events"] for one in heard):
                break
        return self._compare({number: NEVER})

    def progress(self) -> Answers:
        """Ask both how far they are."""
        for ear, _ in self._sides():
            ear.stream.send("watch_progress", {})
        etcd, own = (ear.answer() for ear, _ in self._sides())
        return None if etcd == own else (etcd, own)

    def settle(self) -> Answers:
        """Have both deliver all they owe, and compare it."""
        if not self._live:
            return None
        for clearing in self._pair.alarm_clearings:  # else nothing can be put
            found = self._pair.compare(clearing)
            if found is not None:
                return found
        owed: dict[int, int] = {}
        for key in dict.fromkeys(key_of(fields) for fields in self._live.values()):
            # Who wants no puts hears of the delete.
            for name, unwanted in (("put", NOPUT), ("delete_range", NODELETE)):
                etcd, own = self._pair.ask(Op(name, {"key": key}))
                if etcd != own:
                    return etcd, own
                revision = etcd["header"]["revision"]
                for number, fields in self._live.items():
                    wanted = unwanted not in fields.get("filters", [])
                    if wanted and key_of(fields) == key and self._starts[number] <= revision:
                        owed[number] = revision
        self._wait(owed)
        return self._compare(owed)

    def _wait(self, targets: dict[int, int]) -> None:
        """Listen until each of these watches has seen its revision, or ended, on both sides."""
        deadline = time.monotonic() + ANSWER_SECONDS
        ears = [ear for ear, _ in self._sides()]
        while time.monotonic() < deadline:
            for ear in ears:
                ear.listen(0.0)
            waiting = [
                ear for ear in ears if not all(ear.heard[n].reached(r) for n, r in targets.items())
            ]
            if not waiting:
                return
            waiting[0].listen(POLL_SECONDS)

    def _compare(self, until: dict[int, int]) -> Answers:
        """What the watches have heard up to these revisions; the others must have heard nothing."""
        for number, fields in list(self._live.items()):
            etcd, own = (ear.heard[number].told(until.get(number, 0)) for ear, _ in self._sides())
            if etcd != own or own["fault"]:
                return {"watch": fields, **etcd}, {"watch": fields, **own}
            if own["ending"] is not None:
                del self._live[number]
        return None

    def _sides(self) -> tuple[tuple[Ear, Server], tuple[Ear, Server]]:
        return (self._etcd, self._pair.etcd), (self._own, self._pair.own)


def key_of(fields: Fields) -> bytes:
    """The first key of a watch's interval."""
    key: bytes = fields.get("key") or b"\0"
    return key
