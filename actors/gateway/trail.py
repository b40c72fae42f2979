"""The audit trail of a gateway: what it writes into the audit log of requests and their outcomes.

A request is noted when it is decoded, and recorded when it is answered, if the level wants that or
it was refused. Refuses to know files, and whether a record could be written.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from enum import IntEnum
from math import isfinite
from typing import Any, Final, Protocol

from actors.gateway.audit_table import RECORDED, REFUSED, Level
from actors.gateway.fields import Fields
from actors.gateway.identities import NOT_THE_FRONT, Identities
from actors.language.audit import Note, Requester, WatchAnswered
from actors.language.auth import NOBODY
from actors.language.results import Failure, Result
from cluster.faults import FAULTS, Fault

TEXT_CHARS_MAX: Final = 1_024
"""A longer key or name is cut, so that no request decides how long a line is."""

OPS_MAX: Final = 128
"""Of a transaction 128 operations and compares are recorded, what it changes first; of a list, 128
items."""

Record = dict[str, Any]


class AuditLog(Protocol):
    """What takes the records (runtime.audit_log)."""

    @property
    def lost(self) -> int:
        """How many records were not written."""

    def write(self, record: Record) -> None:
        """Take a record, without waiting."""

    def close(self) -> None:
        """Write what was taken."""


class Trail:
    """The trail of one gateway; `address_of` is the address of a connection, by its name.

    Only the node's own front knows `front_secret`, and is believed about its clients' addresses.
    """

    def __init__(
        self, log: AuditLog, level: Level, identities: Identities, front_secret: bytes
    ) -> None:
        self.address_of: Callable[[bytes], str] = lambda _: ""
        self.log = log
        self.level = level
        self._identities = identities
        self._front_secret = front_secret

    # --- requests that come ---

    def told_address(self, fields: Fields) -> str:
        """The address that the front tells of its client, taken out of a request's fields.

        "" if anybody else has put it there: then the field stays, and is refused as unknown.
        """
        secret, address = fields.get("front"), fields["client"]
        if type(secret) is not bytes or type(address) is not str or not self._front_secret:
            return ""
        if not hmac.compare_digest(secret, self._front_secret):
            return ""
        del fields["client"]
        if "common_name" not in fields:
            del fields["front"]
        return address

    def settled(self, note: Note, *, is_query: bool) -> Note:
        """The same note, of a request that was decoded: what it is for is known."""
        note.fields.pop("password", None)
        if is_query or (note.op == "snapshot" and note.fields.get("name")):
            note = note._replace(level=Level.ALL)
        # Now: when it is answered, the user may be deleted and the connection gone.
        return self._identified(note) if note.level <= self.level else note

    # --- what becomes of them ---

    def answered(self, note: Note, result: Result) -> None:
        """A request has its result."""
        if isinstance(result, Failure):
            self.failed(note, FAULTS[result.name])
        else:
            self.done(note, result.revision)

    def done(self, note: Note, revision: int) -> None:
        """A request was carried out; `revision` is that of the answer, 0 if it has none."""
        if note.level <= self.level:
            self._write(note, "ok", revision)

    def failed(self, note: Note, fault: Fault, *, is_unknown: bool = False) -> None:
        """A request was not carried out; `is_unknown`: or perhaps it was."""
        if fault == NOT_THE_FRONT:
            note = note._replace(by="", common_name="")
        elif note.level > self.level and fault not in REFUSED:
            return
        self._write(note, fault.message, 0, is_unknown=is_unknown)

    def watch_answered(self, answer: WatchAnswered) -> None:
        """A watch exists, or does not."""
        note, revision, reason = answer
        is_refused = reason in _REFUSED_TEXTS
        if note.level <= self.level or is_refused:
            self._write(note, reason or "ok", 0 if reason else revision)

    def reset(self) -> None:
        """Whoever may write this node's data has asked that authentication end."""
        note = Note("auth_disable", Level.AUTH, {}, b"", NOBODY, "leasehold auth reset")
        note = note._replace(requester=Requester("", b"", ""))
        self._write(note, "proposed", 0)

    # --- inside ---

    def _identified(self, note: Note) -> Note:
        user = self._identities.name_of(note.principal)
        client_key = self._identities.keys.get(note.connection, b"")
        requester = Requester(user, client_key, note.address or self.address_of(note.connection))
        by = "" if note.principal == NOBODY else note.by or "key"
        return note._replace(requester=requester, by=by)

    def _write(self, note: Note, outcome: str, revision: int, *, is_unknown: bool = False) -> None:
        note = note if note.requester is not None else self._identified(note)
        assert note.requester is not None, "it was identified"
        user, client_key, address = note.requester
        record: Record = {"op": note.op, "user": user or None}
        for name, value in (
            ("by", note.by),
            ("common_name", note.common_name),
            ("client_key", client_key.hex()),
            ("from", address),
            ("request", request_of(note)),
            ("revision", revision),
        ):
            if value:
                record[name] = value
        record["outcome"] = outcome
        if is_unknown:
            record["unknown"] = True
        self.log.write(record)


_REFUSED_TEXTS: Final = frozenset(fault.message for fault in REFUSED)


def request_of(note: Note) -> Record:
    """What is recorded of a request's own fields."""
    fields = note.fields
    if note.op == "txn":
        return _txn(fields)
    if note.op in {"user_add_key", "user_remove_key"}:
        key = fields.get("key")
        fields = {**fields, "key": key[:32].hex() if type(key) is bytes else key}
    return _recorded(fields)


def _recorded(fields: Mapping[Any, Any]) -> Record:
    record: Record = {}
    for name, value in fields.items():
        if name in RECORDED:
            record |= _shown(name, value)
    return record


def _shown(name: str, value: Any) -> Record:
    """A field as it is recorded: bytes that are no text under another name, in hexadecimal.

    Nothing, if it has a type that no field has: a request may be refused for that.
    """
    match value:
        case bytes():
            try:
                return {name: _cut(value.decode())}
            except UnicodeDecodeError:
                return {f"{name}_hex": _cut(value.hex())}
        case str():
            return {name: _cut(value)}
        case IntEnum():
            return {name: value.name}
        case int():
            return {name: value}
        case float() if isfinite(value):
            return {name: value}
        case dict():
            return {name: _recorded(value)}
        case tuple():
            return {name: [_cut(each) for each in value[:OPS_MAX] if type(each) is str]}
        case _:
            return {}


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_CHARS_MAX else text[:TEXT_CHARS_MAX] + "..."


def _txn(fields: Fields) -> Record:
    """What a transaction does to which keys, in both branches and nested ones, and what it
    compares."""
    ops: list[tuple[str, Fields]] = []
    compares: list[tuple[str, Fields]] = []
    txns: list[Any] = [fields]
    while txns:
        txn = txns.pop()
        compares += [("compare", each) for each in _maps(txn, "compare")]
        for operation in (*_maps(txn, "success"), *_maps(txn, "failure")):
            for name, of_op in operation.items():
                if type(name) is str and type(of_op) is dict:
                    if name == "request_txn":
                        txns.append(of_op)
                    else:
                        ops.append((_cut(name.removeprefix("request_")), of_op))
    listed = [*ops, *compares]
    record: Record = {"ops": [{"op": name, **_recorded(of_op)} for name, of_op in listed[:OPS_MAX]]}
    return {**record, "more": len(listed) - OPS_MAX} if len(listed) > OPS_MAX else record


def _maps(fields: Fields, name: str) -> list[Fields]:
    """The maps in a list; of a request that is refused it may be anything."""
    items = fields.get(name, ())
    return [each for each in items if type(each) is dict] if type(items) is tuple else []
