"""Planted faults: a server that answers almost like the one behind it.

Each mutant changes what goes to a server or what comes from it, as a slip in a store, a gateway or
a watch hub would. The comparison is worth something only if it finds every one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, Final, NamedTuple

from tests.differential.language import Fields
from tests.differential.sides import Side, Stream

LEASE_NOT_FOUND: Final = "etcdserver: requested lease not found"


class Mutant(NamedTuple):
    """What it does to a request before it is sent, and to a reply before it is compared."""

    request: Callable[[Mutated, str, Fields], Fields] | None = None
    reply: Callable[[Mutated, str, Fields, Fields], Fields] | None = None
    message: Callable[[Fields], Fields] | None = None


class Mutated:
    """A side with a fault, or with none while `mutant` is None."""

    def __init__(self, side: Side) -> None:
        self.name = side.name
        self.behind = side
        self.mutant: Mutant | None = None
        self.compacted = 0
        self._asked: tuple[str, Fields] = ("", {})

    def send(self, name: str, fields: Fields) -> None:
        """Pass it on, as the mutant wants it."""
        if self.mutant is not None and self.mutant.request is not None:
            fields = self.mutant.request(self, name, deepcopy(fields))
        self._asked = (name, fields)
        self.behind.send(name, fields)

    def receive(self) -> Fields:
        """Pass it on, as the mutant wants it."""
        name, fields = self._asked
        reply = self.behind.receive()
        if self.mutant is not None and self.mutant.reply is not None:
            reply = self.mutant.reply(self, name, fields, reply)
        if name == "compact" and "error" not in reply:
            self.compacted = fields.get("revision", 0)
        return reply

    def ask(self, name: str, **fields: Any) -> Fields:
        """A question of the mutant's own."""
        self.behind.send(name, fields)
        return self.behind.receive()

    def open_stream(self) -> Stream:
        """A stream with the same fault."""
        return MutatedStream(self.behind.open_stream(), self)

    def stop(self) -> None:
        """End the server behind it."""
        self.behind.stop()


class MutatedStream:
    """A stream of a mutated side."""

    def __init__(self, stream: Stream, side: Mutated) -> None:
        self._stream = stream
        self._side = side

    def send(self, name: str, fields: Fields) -> None:
        """Pass it on, as the mutant wants it."""
        mutant = self._side.mutant
        if mutant is not None and mutant.request is not None:
            fields = mutant.request(self._side, name, deepcopy(fields))
        self._stream.send(name, fields)

    def receive(self, timeout_seconds: float) -> list[Fields]:
        """Pass them on, as the mutant wants them."""
        messages = self._stream.receive(timeout_seconds)
        mutant = self._side.mutant
        if mutant is None or mutant.message is None:
            return messages
        return [mutant.message(message) for message in messages]

    def close(self) -> None:
        """End it."""
        self._stream.close()


# --- replies ----------------------------------------------------------------------------------


def _count_stops_at_the_limit(_: Mutated, name: str, fields: Fields, reply: Fields) -> Fields:
    if name == "range" and fields.get("limit", 0) > 0 and reply.get("kvs"):
        return {**reply, "count": len(reply["kvs"])}
    return reply


def _more_is_never_said(_: Mutated, name: str, __: Fields, reply: Fields) -> Fields:
    return {field: value for field, value in reply.items() if field != "more"}


def _prev_kv_is_forgotten(_: Mutated, name: str, __: Fields, reply: Fields) -> Fields:
    return {field: value for field, value in reply.items() if field != "prev_kv"}


def _delete_of_nothing_takes_a_revision(_: Mutated, name: str, __: Fields, reply: Fields) -> Fields:
    if name == "delete_range" and "header" in reply and not reply.get("deleted"):
        header = reply["header"]
        return {**reply, "header": {**header, "revision": header["revision"] + 1}}
    return reply


def _compacting_twice_is_fine(_: Mutated, name: str, __: Fields, reply: Fields) -> Fields:
    if name == "compact" and "has been compacted" in reply.get("error", {}).get("message", ""):
        return {"header": {"revision": 1}}
    return reply


def _compacted_revision_cannot_be_read(
    side: Mutated, name: str, fields: Fields, reply: Fields
) -> Fields:
    if name == "range" and fields.get("revision") == side.compacted and "header" in reply:
        text = "etcdserver: mvcc: required revision has been compacted"
        return {"error": {"code": 11, "message": text}}
    return reply


def _missing_lease_has_another_code(_: Mutated, __: str, ___: Fields, reply: Fields) -> Fields:
    if reply.get("error", {}).get("message") == LEASE_NOT_FOUND:
        return {"error": {"code": 9, "message": LEASE_NOT_FOUND}}
    return reply


def _keep_alive_of_nothing_is_an_error(_: Mutated, name: str, __: Fields, reply: Fields) -> Fields:
    if name == "lease_keep_alive" and not reply.get("TTL"):
        return {"error": {"code": 5, "message": LEASE_NOT_FOUND}}
    return reply


def _nested_answer_is_turned(_: Mutated, __: str, ___: Fields, reply: Fields) -> Fields:
    for response in reply.get("responses", []):
        if "response_txn" in response:
            nested = response["response_txn"]
            nested["succeeded"] = not nested.get("succeeded", False)
    return reply


# --- requests ---------------------------------------------------------------------------------


def _descending_is_ascending(_: Mutated, name: str, fields: Fields) -> Fields:
    if fields.get("sort_order") in ("DESCEND", 2):
        fields["sort_order"] = "ASCEND"
    return fields


def _bounds_are_exclusive(_: Mutated, name: str, fields: Fields) -> Fields:
    if fields.get("max_mod_revision", 0) > 1:
        fields["max_mod_revision"] -= 1
    return fields


def _absent_value_compares_true(side: Mutated, name: str, fields: Fields) -> Fields:
    if name == "txn":
        fields["compare"] = [
            compare
            for compare in fields.get("compare", [])
            if compare["target"] not in ("VALUE", 3)
            or "range_end" in compare
            or not compare.get("key")
            or side.ask("range", key=compare["key"]).get("count")
        ]
    return fields


def _put_keeps_the_lease(side: Mutated, name: str, fields: Fields) -> Fields:
    if name == "put" and fields.get("key") and not fields.get("lease"):
        for kv in side.ask("range", key=fields["key"]).get("kvs", []):
            fields["lease"] = kv.get("lease", 0)
            fields.pop("ignore_lease", None)
    return fields


def _filters_do_nothing(_: Mutated, __: str, fields: Fields) -> Fields:
    return {field: value for field, value in fields.items() if field != "filters"}


def _watch_begins_one_late(_: Mutated, name: str, fields: Fields) -> Fields:
    if name == "watch_create" and fields.get("start_revision", 0) > 1:
        fields["start_revision"] += 1
    return fields


# --- messages of watches ----------------------------------------------------------------------


def _event_without_prev_kv(message: Fields) -> Fields:
    for event in message.get("events", []):
        event.pop("prev_kv", None)
    return message


def _last_event_of_many_is_lost(message: Fields) -> Fields:
    if len(message.get("events", [])) > 1:
        message["events"].pop()
    return message


def _end_without_compact_revision(message: Fields) -> Fields:
    return {field: value for field, value in message.items() if field != "compact_revision"}


MUTANTS: Final[dict[str, Mutant]] = {
    "count stops at the limit": Mutant(reply=_count_stops_at_the_limit),
    "more is never said": Mutant(reply=_more_is_never_said),
    "prev_kv of a put is forgotten": Mutant(reply=_prev_kv_is_forgotten),
    "a delete of nothing takes a revision": Mutant(reply=_delete_of_nothing_takes_a_revision),
    "compacting twice is fine": Mutant(reply=_compacting_twice_is_fine),
    "the compacted revision cannot be read": Mutant(reply=_compacted_revision_cannot_be_read),
    "a missing lease has another code": Mutant(reply=_missing_lease_has_another_code),
    "keep-alive of nothing is an error": Mutant(reply=_keep_alive_of_nothing_is_an_error),
    "a nested transaction says the opposite": Mutant(reply=_nested_answer_is_turned),
    "descending is ascending": Mutant(request=_descending_is_ascending),
    "the bounds of revisions are exclusive": Mutant(request=_bounds_are_exclusive),
    "VALUE of an absent key compares true": Mutant(request=_absent_value_compares_true),
    "a plain put keeps the lease": Mutant(request=_put_keeps_the_lease),
    "filters of a watch do nothing": Mutant(request=_filters_do_nothing),
    "a watch begins one revision late": Mutant(request=_watch_begins_one_late),
    "a watch's prev_kv is forgotten": Mutant(message=_event_without_prev_kv),
    "the last event of many is lost": Mutant(message=_last_event_of_many_is_lost),
    "an end does not say what is compacted": Mutant(message=_end_without_compact_revision),
}
