"""Runs a program on two servers at the same time and says where their answers first differ.

Before each program both are emptied and their history is compacted away, and from then on revisions
are told from there: a reply is compared with its revisions made relative. Watches are the business
of `watches`. Knows neither server.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final, NamedTuple, Self

from tests.differential.deliberate import is_nearly_all, is_tolerated
from tests.differential.language import (
    ALARM_CLEARINGS,
    Base,
    Fields,
    Now,
    Op,
    Program,
    resolved,
)
from tests.differential.parts import parts_that_differ
from tests.differential.sides import Side, SideDiedError
from tests.differential.ties import without_order_of_ties
from tests.differential.watches import Watches

EVERYTHING: Final = {"key": b"\0", "range_end": b"\0"}
FIRST_KEY: Final = b"k"
REVISIONS: Final = {"revision", "create_revision", "mod_revision", "compact_revision"}

UNORDERED: Final = {"keys", "alarms"}
"""Etcd tells a lease's keys and the alarms in the order of its hash tables."""


class Difference(NamedTuple):
    """Where two servers first disagree: the operation, and what each made of it."""

    position: int
    operation: Op
    etcd: Any
    own: Any

    def signature(self) -> Any:
        """What kind of difference it is: shrinking must not end at another one."""
        messages = [
            answer.get("error", {}).get("message") if isinstance(answer, dict) else None
            for answer in (self.etcd, self.own)
        ]
        parts = parts_that_differ(self.etcd, self.own)
        places = {re.sub(r"\[\d+\]", "", part.place) for part in parts}
        return self.operation.name, messages, places


class Server:
    """One side, and the revision and the time at which the program under way began there."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.base = 0
        self._began = 0.0

    def empty(self) -> None:
        """Delete every key, end every lease, clear every alarm, and forget the history."""
        self._began = time.monotonic()
        for alarm in self._call("alarm", action="GET").get("alarms", []):
            self._call("alarm", **{"memberID": 0, **alarm, "action": "DEACTIVATE"})
        for lease in self._call("lease_leases").get("leases", []):
            self._call("lease_revoke", ID=lease["ID"])
        self._call("delete_range", **EVERYTHING)
        # The first revision of a program is a key, which a watch from there sees on both. Of a
        # tombstone there etcd might or might not tell: it depends on how far its sweeper is.
        reply = self._call("put", key=FIRST_KEY)
        self.base = reply["header"]["revision"]
        reply = self._call("compact", revision=self.base)
        assert "error" not in reply, f"{self.side.name} cannot compact: {reply}"

    def send(self, operation: Op, revision: int) -> None:
        """Ask for an operation; `revision` is the present one, relative."""
        self.side.send(operation.name, self.fields_of(operation, revision))

    def receive(self) -> Fields:
        """The answer, with relative revisions."""
        return self.relative(self.side.receive())

    def fields_of(self, operation: Op, revision: int) -> Fields:
        """The operation's fields with this server's own revisions."""

        def revision_of(wanted: Now | Base) -> int:
            start = revision if isinstance(wanted, Now) else 0
            # Negative ones mean something else; 1 is long gone.
            return max(1, self.base + start + wanted.offset)

        fields: Fields = resolved(operation.fields, revision_of)
        return fields

    def relative(self, reply: Fields) -> Fields:
        """A reply with revisions told from the program's beginning, and only those in headers."""
        found: Fields = self._told(reply, "")
        return found

    def _told(self, value: Any, name: str) -> Any:
        if isinstance(value, dict):
            kept = value.items()
            if name == "header":
                kept = {"revision": value.get("revision", 0)}.items()
            elif name == "response_txn":
                kept = {**value, "header": {}}.items()  # etcd's says nothing
            fields = {field: self._told(item, field) for field, item in kept}
            return self._without_time(fields) if "grantedTTL" in fields else fields
        if isinstance(value, list):
            told = [self._told(item, name) for item in value]
            return sorted(told, key=repr) if name in UNORDERED else told
        return value - self.base if name in REVISIONS and value else value

    def _without_time(self, fields: Fields) -> Fields:
        took_seconds = time.monotonic() - self._began
        if is_nearly_all(fields.get("TTL", 0), fields["grantedTTL"], took_seconds):
            return {**fields, "TTL": "nearly all of it"}
        return fields

    def _call(self, name: str, **fields: Any) -> Fields:
        self.side.send(name, fields)
        return self.side.receive()


class Pair:
    """Two servers that are told the same."""

    def __init__(self, etcd: Side, own: Side) -> None:
        self.etcd = Server(etcd)
        self.own = Server(own)
        self.revision = 0
        """The present one, relative; and the one up to which all is compacted."""
        self.compacted = 0
        self.alarm_clearings: tuple[Op, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End both servers."""
        self.etcd.side.stop()
        self.own.side.stop()

    def run(self, program: Program) -> Difference | None:
        """Run it on both, emptied before; the first difference, or None."""
        for server in (self.etcd, self.own):
            server.empty()
        self.revision = self.compacted = 0
        alarming = any(operation.name == "alarm" for operation in program)
        self.alarm_clearings = ALARM_CLEARINGS if alarming else ()
        with Watches(self) as watches:
            for index, operation in enumerate(program):
                found = self._step(operation, watches)
                if found is not None:
                    return Difference(index, operation, *found)
            found = watches.settle()
            if found is not None:
                return Difference(len(program), Op("the watches' events", {}), *found)
        return None

    def _step(self, operation: Op, watches: Watches) -> tuple[Any, Any] | None:
        match operation.name:
            case "watch_create":
                return watches.create(operation)
            case "watch_cancel":
                return watches.cancel(operation)
            case "watch_wait":
                return watches.wait(operation)
            case "watch_progress":
                return watches.progress()
            case "lease_cycle":
                return self._lease_cycle(operation)
            case "lease_grant" if not operation.fields.get("ID"):
                return self._lease_cycle(operation)  # nobody knows the id that a server chose
            case "compact":
                # What watches are owed they get before: etcd reads prev_kv when it sends.
                return watches.settle() or self._compact(operation)
            case _:
                return self.compare(operation)

    def compare(self, operation: Op) -> tuple[Any, Any] | None:
        """One request on both; their answers if those differ."""
        etcd, own = self.ask(operation)
        if etcd == own:
            return None
        etcd, own = (
            without_order_of_ties(operation.name, operation.fields, reply) for reply in (etcd, own)
        )
        return None if etcd == own or is_tolerated(etcd, own) else (etcd, own)

    def ask(self, operation: Op) -> tuple[Fields, Fields]:
        """One request on both at a time, and both answers."""
        self.etcd.send(operation, self.revision)
        self.own.send(operation, self.revision)
        etcd, own = self.etcd.receive(), self.own.receive()
        if "header" in etcd:
            self.revision = etcd["header"]["revision"]
        return etcd, own

    def _compact(self, operation: Op) -> tuple[Any, Any] | None:
        found = self.compare(operation)
        fields = self.etcd.fields_of(operation, self.revision)
        wanted = fields.get("revision", 0) - self.etcd.base
        if wanted <= self.revision:  # else it was refused; and so it was if it is no news
            self.compacted = max(self.compacted, wanted)
        return found

    def _lease_cycle(self, operation: Op) -> tuple[Any, Any] | None:
        """Grant a lease and end it at once: its id may be a server's own, its TTL the shortest."""
        answers = []
        chosen = operation.fields.get("ID", 0)
        for server in (self.etcd, self.own):
            server.send(operation._replace(name="lease_grant"), self.revision)
            granted = server.receive()
            lease = granted.get("ID", 0)
            revoked: Fields = {}
            if lease:
                server.send(Op("lease_revoke", {"ID": lease}), self.revision)
                revoked = server.receive()
            if lease:
                granted["ID"] = chosen
            answers.append([granted, revoked])
        etcd, own = answers
        return None if etcd == own or is_tolerated(etcd[0], own[0]) else (etcd, own)


__all__ = ["Difference", "Pair", "Server", "SideDiedError"]
