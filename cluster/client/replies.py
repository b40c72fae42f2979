"""How a client reads replies: each, by the protocol's table, into its typed result.

It knows the shape of replies, and refuses to know how they arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from cluster.client.auth_results import Permission, RoleLimits
from cluster.client.result_table import RESULTS
from cluster.client.results import (
    Alarm,
    Event,
    Header,
    KeyValue,
    LeaseListResult,
    Member,
    PutResult,
    RangeResult,
    TxnResponse,
    TxnResult,
)
from cluster.errors import ProtocolError
from cluster.protocol import ALARM, ALARM_NAME, EVENT, KEY_VALUE, MEMBER, OPS
from cluster.schema import KEYS, TEXTS, Field, ListOf, ProtocolOp
from cluster.users_table import LIMITS, PERMISSION

Reply = Mapping[str, Any]
"""A decoded but unchecked reply map: a field may be missing or of a wrong type."""

T = TypeVar("T")


def read(decode: Callable[[Reply], T], reply: Reply) -> T:
    """Decode a reply; one that PROTOCOL.md does not allow is a ProtocolError, not a KeyError."""
    try:
        return decode(reply)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProtocolError(f"unexpected reply ({error!r}); is a Leasehold node there?") from None


def refusal(error: Reply) -> tuple[int, str, bool]:
    """The code and text of a reply's `error`, and whether the request may have been applied."""
    return int(error["code"]), str(error["message"]), bool(error.get("unknown", False))


def session_id(reply: Reply) -> int:
    """The answer to a session_open."""
    return int(reply["session"])


def header(reply: Reply) -> Header:
    """The header of any reply."""
    raw = reply["header"]
    return Header(raw["cluster_id"], raw["member_id"], raw["revision"], raw["raft_term"])


def key_value(raw: Reply) -> KeyValue:
    """A key-value of a read; without its value if the read was keys_only."""
    return KeyValue(
        raw["key"],
        raw.get("value", b""),
        raw["create_revision"],
        raw["mod_revision"],
        raw["version"],
        raw.get("lease", 0),
    )


def put_result(reply: Reply) -> PutResult:
    """The answer to a put."""
    return _put(header(reply), reply)


def _put(head: Header, reply: Reply) -> PutResult:
    previous = reply.get("prev_kv")
    return PutResult(
        head,
        None if previous is None else key_value(previous),
        reply.get("lease", 0),
        reply.get("TTL", 0),
    )


def range_result(reply: Reply) -> RangeResult:
    """The answer to a range."""
    return _range(header(reply), reply)


def _range(head: Header, reply: Reply) -> RangeResult:
    kvs = tuple(map(key_value, reply["kvs"]))
    return RangeResult(head, kvs, reply["more"], reply["count"])


def single_result(reply: Reply) -> KeyValue | None:
    """The answer to a range of one key: its key-value, or None when it does not exist."""
    for raw in reply["kvs"]:
        return key_value(raw)
    return None


def txn_result(reply: Reply) -> TxnResult:
    """The answer to a txn."""
    return _txn(header(reply), reply)


def _txn(head: Header, reply: Reply) -> TxnResult:
    responses = tuple(_response(head, one) for one in reply["responses"])
    return TxnResult(head, bool(reply["succeeded"]), responses)


def _response(head: Header, one: Reply) -> TxnResponse:
    """One response of a transaction; its header on the wire has only the revision."""
    ((kind, reply),) = one.items()
    inner = head._replace(revision=reply["header"]["revision"])
    response: TxnResponse = _READERS[kind.removeprefix("response_")](inner, reply)
    return response


def event(raw: Reply) -> Event:
    """One event of a watch reply."""
    kv = raw["kv"]
    previous = raw.get("prev_kv")
    return Event(
        "PUT" if raw["type"] == "PUT" else "DELETE",
        KeyValue(
            kv["key"],
            kv.get("value", b""),
            kv.get("create_revision", 0),
            kv["mod_revision"],
            kv.get("version", 0),
            kv.get("lease", 0),
        ),
        None if previous is None else key_value(previous),
        raw.get("reason", ""),
    )


def _member(raw: Reply) -> Member:
    return Member(
        raw["ID"],
        raw["name"],
        tuple(raw["peerURLs"]),
        tuple(raw["clientURLs"]),
        raw.get("isLearner", False),
        tuple(raw.get("keys", ())),
    )


def _alarm(raw: Reply) -> Alarm:
    alarm = raw["alarm"]  # its name, or its number
    return Alarm(raw["memberID"], ALARM_NAME.words[alarm] if isinstance(alarm, int) else str(alarm))


def _permission(raw: Reply) -> Permission:
    return Permission(raw["permType"], raw["key"], raw["range_end"])


def _lease_list(head: Header, reply: Reply) -> LeaseListResult:
    return LeaseListResult(head, tuple(lease["ID"] for lease in reply["leases"]))


# --- by the protocol's table ------------------------------------------------------------------


_VALUES: Final[dict[Any, Callable[[Any], Any]]] = {
    TEXTS: tuple,
    KEYS: tuple,
    KEY_VALUE: key_value,
    MEMBER: _member,
    ListOf(KEY_VALUE): lambda items: tuple(map(key_value, items)),
    ListOf(EVENT): lambda items: tuple(map(event, items)),
    ListOf(MEMBER): lambda items: tuple(map(_member, items)),
    ListOf(ALARM): lambda items: tuple(map(_alarm, items)),
    ListOf(PERMISSION): lambda items: tuple(map(_permission, items)),
    LIMITS: lambda found: RoleLimits(*[found[name] for name in RoleLimits._fields]),
}
"""How to convert the values of a type; values of other types are taken as they come."""

Read = Callable[[Header, Reply], Any]


def _reader(op: ProtocolOp, result: type[Any]) -> Read:
    """The function that reads a reply: each field into the attribute of its name."""
    fields = {field.attribute: field for field in op.reply}
    steps = [_step(fields[name], result) for name in result._fields[1:]]
    make = result._make

    def read_reply(head: Header, reply: Reply) -> Any:
        return make([head, *[step(reply) for step in steps]])

    return read_reply


def _step(field: Field, result: type[Any]) -> Callable[[Reply], Any]:
    """The function that reads one field. A missing optional field has the result's default."""
    name, convert = field.name, _VALUES.get(field.type)
    absent = result._field_defaults.get(field.attribute, field.type.zero)

    def required(reply: Reply) -> Any:
        return reply[name] if convert is None else convert(reply[name])

    def optional(reply: Reply) -> Any:
        return absent if reply.get(name) is None else required(reply)

    return optional if field.optional else required


def _decoder(reader: Read) -> Callable[[Reply], Any]:
    return lambda reply: reader(header(reply), reply)


_BY_HAND: Final[dict[str, Read]] = {
    "range": _range,
    "put": _put,
    "txn": _txn,
    "lease_leases": _lease_list,
}
"""Replies read by hand: the most frequent ones, and those whose result has another shape."""

_READERS: Final = {
    op: _BY_HAND.get(op) or _reader(OPS[op], result) for op, result in RESULTS.items()
}
_DECODERS: Final[dict[type[Any], Callable[[Reply], Any]]] = {
    result: _decoder(_READERS[op]) for op, result in RESULTS.items()
}


def of(result: type[T]) -> Callable[[Reply], T]:
    """The function that reads a reply into a result of this class."""
    return _DECODERS[result]
