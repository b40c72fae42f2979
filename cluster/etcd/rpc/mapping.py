"""Between the bytes of etcd's messages and the maps of the client protocol (cluster/PROTOCOL.md).

The fields of both are those of rpc.proto, so a message is read into a map as it is, and a map makes
a message as it is. What differs stands here and nowhere else: which operation a request of a watch
is, the operand of a compare, what etcd's headers leave out, and what etcd has no field for. Refuses
to know sockets, and what an operation does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import ceil
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from cluster.etcd.rpc.schema import RPCS, Rpc, descriptor_of, message_class
from cluster.etcd.rpc.status import RpcError, error_of
from cluster.etcd.rpc.wire_faults import fault_in, wrong_type
from cluster.faults import INTERNAL, INVALID_ARGUMENT
from cluster.protocol import ALARM_NAME
from cluster.schemes import TCP
from cluster.wire import Items, LazyMap

Fields = dict[str, Any]

TXN: Final = RPCS[b"/etcdserverpb.KV/Txn"]
UNREADABLE: Final = "grpc: error unmarshalling request: "
"""How the error begins of a request whose bytes are no message."""

WATCH: Final = RPCS[b"/etcdserverpb.Watch/Watch"]

PARTS_MAX: Final = 65_536
"""A request may hold 65,536 messages within messages, such as the operations of a transaction.

Each costs more than the bytes that it may take, and the node allows far fewer."""

# --- requests ---------------------------------------------------------------------------------


def decode(rpc: Rpc, data: bytes) -> Fields:
    """The protocol's request for the bytes of a message; its fields alone if the RPC has no op.

    Fields that are zero are left out, and those that etcd does not know are ignored. An empty map
    is a request of a watch that asks for nothing: etcd ignores it. Raises RpcError.
    """
    try:
        message = rpc.request.FromString(data)
    except DecodeError:
        raise _unreadable(fault_in(rpc.request, data)) from None
    if len(data) > PARTS_MAX and rpc is TXN:
        _count(message, PARTS_MAX)
    return request_of(rpc, message)


def request_of(rpc: Rpc, message: Message) -> Fields:
    """As `decode`, for a message that was read already."""
    fields: Fields = {} if rpc.op is None else {"op": rpc.op}
    _read(message, fields)
    change = _CHANGED.get(rpc.path)
    return fields if change is None else change(fields)


def _read(message: Message, fields: Fields) -> Fields:
    """Add the fields that a message has to a map."""
    if len(UnknownFieldSet(message)):
        _check_unknown(message)
    readers = _READERS[type(message)]
    for field, value in message.ListFields():
        name = field.name
        reader = readers.get(name)
        fields[name] = value if reader is None else reader(value)
    return fields


def _count(txn: Any, parts_max: int) -> int:
    """How many more messages a transaction may hold; RpcError if it holds too many."""
    parts_max -= len(txn.compare) + len(txn.success) + len(txn.failure)
    if parts_max < 0:
        raise error_of("TooManyOps")
    for operations in (txn.success, txn.failure):
        for operation in operations:
            if operation.HasField("request_txn"):
                parts_max = _count(operation.request_txn, parts_max)
    return parts_max


def _check_unknown(message: Message) -> None:
    """etcd refuses a known field whose value is of a wrong kind; protobuf takes it for unknown."""
    known = descriptor_of(type(message)).fields_by_number
    unknown_fields = UnknownFieldSet(message)
    for position in range(len(unknown_fields)):
        unknown = unknown_fields[position]
        field = known.get(unknown.field_number)
        if field is not None:
            raise _unreadable(wrong_type(field, unknown.wire_type))


def _unreadable(fault: str) -> RpcError:
    return RpcError(INTERNAL, UNREADABLE + fault)


def _nested(message: Message) -> Fields:
    return _read(message, {})


def _all_nested(messages: Iterable[Message]) -> list[Fields]:
    return [_read(message, {}) for message in messages]


_OPERANDS: Final = ("version", "create_revision", "mod_revision", "value", "lease")
"""The operand of each target of a compare, by the target's number."""

_RESULTS: Final = range(4)


def _compares(messages: Iterable[Message]) -> list[Fields]:
    return [_compare(message) for message in messages]


def _compare(message: Any) -> Fields:
    """A compare with the operand of its target: as in etcd zero, if it has that of another."""
    if len(UnknownFieldSet(message)):
        _check_unknown(message)
    target, result = message.target, message.result
    for name, value, known in (("target", target, _OPERANDS), ("result", result, _RESULTS)):
        if not 0 <= value < len(known):
            raise RpcError(INVALID_ARGUMENT, f"leasehold: a compare has no {name} {value}")
    operand = _OPERANDS[target]
    return {
        "key": message.key,
        "range_end": message.range_end,
        "target": target,
        "result": result,
        operand: getattr(message, operand),
    }


def _operations(messages: Iterable[Any]) -> list[Fields]:
    return [_operation(message) for message in messages]


def _operation(message: Any) -> Fields:
    if len(UnknownFieldSet(message)):
        _check_unknown(message)
    name = message.WhichOneof("request")
    return {} if name is None else {name: _read(getattr(message, name), {})}


def _filters(numbers: Iterable[int]) -> list[int]:
    """The filters that etcd knows: it ignores others."""
    return [number for number in numbers if number in (0, 1)]


def _watch_request(union: Fields) -> Fields:
    if not union:
        return union
    ((name, fields),) = union.items()
    match name:
        case "create_request":
            return {"op": "watch_create", **fields}
        case "cancel_request":
            return {"op": "watch_cancel", "watch_id": 0, **fields}
        case _:
            return {"op": "watch_progress"}


def _without_hash(fields: Fields) -> Fields:
    """In etcd a hash is for its members alone: one that a client gives is not looked at."""
    fields.pop("hashedPassword", None)
    return fields


_CHANGED: Final[dict[bytes, Callable[[Fields], Fields]]] = {
    WATCH.path: _watch_request,
    b"/etcdserverpb.Auth/UserAdd": _without_hash,
    b"/etcdserverpb.Auth/UserChangePassword": _without_hash,
}
"""What becomes of the fields of a request that is not the operation's as it is."""

_Reader = Callable[[Any], Any]

_SPECIAL_READERS: Final[dict[str, _Reader]] = {
    "etcdserverpb.TxnRequest.compare": _compares,
    "etcdserverpb.TxnRequest.success": _operations,
    "etcdserverpb.TxnRequest.failure": _operations,
    "etcdserverpb.WatchCreateRequest.filters": _filters,
}


def _reader(field: FieldDescriptor) -> _Reader | None:
    """How the value of a field becomes one of a map; None for one that is taken as it is."""
    special = _SPECIAL_READERS.get(field.full_name)
    if special is not None:
        return special
    if field.message_type is None:
        return list if field.is_repeated else None
    return _all_nested if field.is_repeated else _nested


class _Readers(dict[type[Message], dict[str, _Reader]]):
    """The readers of each class of messages, made when the first such message comes."""

    def __missing__(self, kind: type[Message]) -> dict[str, _Reader]:
        found = {field.name: _reader(field) for field in descriptor_of(kind).fields}
        readers = {name: reader for name, reader in found.items() if reader is not None}
        self[kind] = readers
        return readers


_READERS: Final = _Readers()

# --- replies ----------------------------------------------------------------------------------

LONG_LISTS: Final = frozenset({"kvs", "prev_kvs"})
"""The lists of replies that may be long; a reply has one of them at most."""

PART_BYTES: Final = 256 * 1024
"""A long reply is made into messages of about this size, a few milliseconds of work each."""

_HEADER_TAG: Final = b"\x0a"
_REVISION_TAG: Final = b"\x18"
_TERM_TAG: Final = b"\x20"
"""Field 1 of a response, a message; fields 3 and 4 of the header, numbers."""

_BARE: Final = frozenset({"id", "header"})

_WITHOUT_HEADER: Final = frozenset(
    RPCS[b"/etcdserverpb.Maintenance/" + method].path
    for method in (b"Defragment", b"MoveLeader", b"Snapshot")
)
"""etcd leaves the whole header out of these responses."""

_WITHOUT_REVISION: Final = "etcdserverpb.Cluster"
"""etcd leaves the revision out of the headers of this service."""


class ResponseEncoder:
    """Makes the responses of one node: the two ids of its headers are encoded once, and each term
    when it begins."""

    def __init__(self, cluster_id: int, member_id: int) -> None:
        header = message_class("etcdserverpb.ResponseHeader")
        ids = header(cluster_id=cluster_id, member_id=member_id).SerializeToString()
        self._heads = [_HEADER_TAG + bytes((size,)) + ids for size in range(128)]
        self._ids_size = len(ids)
        self._term, self._term_tail = 0, b""

    def encode(self, rpc: Rpc, reply: Fields) -> bytes:
        """The bytes of the response for a reply of the node that holds no error."""
        if reply.keys() <= _BARE and rpc.path not in _UNLIKE:
            return self._header_only(reply["header"])
        return response_of(rpc, reply).SerializeToString()

    def _header_only(self, header: Fields) -> bytes:
        """What most puts get. The header is below 128 bytes: four numbers of at most 11 each."""
        revision, term = header.get("revision", 0), header["raft_term"]
        tail = _REVISION_TAG + _varint(revision) if revision else b""
        if term != self._term:
            self._term, self._term_tail = term, _TERM_TAG + _varint(term) if term else b""
        tail += self._term_tail
        return self._heads[self._ids_size + len(tail)] + tail


def response_of(rpc: Rpc, reply: Fields) -> Message:
    """The response for a reply of the node that holds no error; what etcd has no field for is left
    out. Raises ValueError or TypeError for a reply that is not of the protocol."""
    names, writers = _WRITERS[rpc.path]
    if not names.issuperset(reply):
        reply = {name: value for name, value in reply.items() if name in names}
    if writers:
        reply = {
            name: writers[name](value) if name in writers else value
            for name, value in reply.items()
        }
    return rpc.response(**reply)


def responses_of(rpc: Rpc, reply: LazyMap) -> Iterator[Message]:
    """The response for a long reply, in parts: their bytes, joined, are those of the response.

    The first has all but the items of the long list, and each other one has some of these.
    """
    (name,) = (name for name, value in reply.items() if isinstance(value, Items))
    items: Items = reply[name]
    yield response_of(rpc, _without(name, reply))
    for part in items.parts(PART_BYTES):
        yield response_of(rpc, {name: part})


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _whole_seconds(seconds: float) -> int:
    """A TTL of ours may be a fraction: rounded up, since 0 says that there is no such lease."""
    return ceil(seconds)


def _events(events: Iterable[Fields]) -> list[Fields]:
    return [_without("reason", event) if "reason" in event else event for event in events]


def _without(name: str, fields: Fields) -> Fields:
    return {other: value for other, value in fields.items() if other != name}


def _alarms(alarms: Iterable[Fields]) -> list[Fields]:
    """Alarms with their kind as a number, so that kinds which only we have are shown by it."""
    return [{**alarm, "alarm": ALARM_NAME.words.index(alarm["alarm"])} for alarm in alarms]


def _members(members: Iterable[Fields]) -> list[Fields]:
    """Members with the client URLs that etcd's clients can connect to: `tcp://` is ZeroMQ's."""
    return [
        {
            **member,
            "clientURLs": [url for url in member.get("clientURLs", ()) if not url.startswith(TCP)],
        }
        for member in members
    ]


def _responses(responses: Iterable[Fields]) -> list[Fields]:
    return [_nested_txn(each) if "response_txn" in each else each for each in responses]


def _nested_txn(response: Fields) -> Fields:
    """The header of a nested transaction is empty in etcd."""
    fields = response["response_txn"]
    responses = _responses(fields["responses"])
    return {"response_txn": {**fields, "header": {}, "responses": responses}}


def _cluster_header(header: Fields) -> Fields:
    return _without("revision", header)


_Writer = Callable[[Any], Any]

_SPECIAL_WRITERS: Final[dict[str, _Writer]] = {
    "TTL": _whole_seconds,
    "grantedTTL": _whole_seconds,
    "events": _events,
    "alarms": _alarms,
    "members": _members,
    "responses": _responses,
}
"""What becomes of a reply's field with this name; other fields are taken as they are."""


def _writers_of(rpc: Rpc) -> tuple[frozenset[str], dict[str, _Writer]]:
    """The names of the fields that a response shows, and those that are not taken as they are."""
    names = frozenset(field.name for field in descriptor_of(rpc.response).fields)
    if rpc.path in _WITHOUT_HEADER:
        names -= {"header"}
    writers = {name: _SPECIAL_WRITERS[name] for name in _SPECIAL_WRITERS if name in names}
    if rpc.service == _WITHOUT_REVISION:
        writers["header"] = _cluster_header
    return names, writers


_WRITERS: Final = {rpc.path: _writers_of(rpc) for rpc in RPCS.values()}

_UNLIKE: Final = _WITHOUT_HEADER | {
    rpc.path for rpc in RPCS.values() if rpc.service == _WITHOUT_REVISION
}
"""The RPCs whose headers are not etcd's usual ones."""
