"""Forms: how a client shows keys and values, as the bytes that they are or as text. Pure.

What a program gives may be either in each form; so only what it gets is converted, at the last
moment: all that a client needs for itself, such as the keys of locks, stays bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, NamedTuple

from cluster.client import replies
from cluster.client.replies import Reply
from cluster.client.results import (
    Data,
    DeleteResult,
    Event,
    HistoryResult,
    IncrementResult,
    KeyValue,
    LeaseTimeToLiveResult,
    PutResult,
    RangeResult,
    TxnResponse,
    TxnResult,
    WatchBatch,
)
from cluster.errors import NotTextError


class DataForm(NamedTuple, Generic[Data]):
    """How keys and values are shown: how replies are read, and how what was read is converted.

    `value` takes the key, too, for the error.
    """

    put: Callable[[Reply], PutResult[Data]]
    single: Callable[[Reply], KeyValue[Data] | None]
    range: Callable[[Reply], RangeResult[Data]]
    deleted: Callable[[Reply], DeleteResult[Data]]
    history: Callable[[Reply], HistoryResult[Data]]
    txn: Callable[[Reply], TxnResult[Data]]
    lease: Callable[[Reply], LeaseTimeToLiveResult[Data]]
    key_value: Callable[[KeyValue], KeyValue[Data]]
    kvs: Callable[[dict[bytes, KeyValue]], dict[Data, KeyValue[Data]]]
    event: Callable[[Event], Event[Data]]
    batch: Callable[[WatchBatch], WatchBatch[Data]]
    key: Callable[[bytes], Data]
    value: Callable[[bytes, bytes], Data]


# --- text -------------------------------------------------------------------------------------


def _put(put: PutResult) -> PutResult[str]:
    return PutResult(put.header, _maybe(put.prev_kv), put.lease, put.ttl)


def _range(found: RangeResult) -> RangeResult[str]:
    return RangeResult(found.header, _several(found.kvs), found.more, found.count)


def _deleted(deleted: DeleteResult) -> DeleteResult[str]:
    return DeleteResult(deleted.header, deleted.deleted, _several(deleted.prev_kvs))


def _history(found: HistoryResult) -> HistoryResult[str]:
    events = tuple(map(_event, found.events))
    return HistoryResult(found.header, events, found.more, found.compacted)


def _txn(done: TxnResult) -> TxnResult[str]:
    return TxnResult(done.header, done.succeeded, tuple(map(_response, done.responses)))


def _response(response: TxnResponse) -> TxnResponse[str]:
    if isinstance(response, PutResult):
        return _put(response)
    if isinstance(response, RangeResult):
        return _range(response)
    if isinstance(response, DeleteResult):
        return _deleted(response)
    return response if isinstance(response, IncrementResult) else _txn(response)


def _lease(found: LeaseTimeToLiveResult) -> LeaseTimeToLiveResult[str]:
    keys = None if found.keys is None else tuple(map(_key, found.keys))
    return LeaseTimeToLiveResult(*found[:-1], keys)


def _event(event: Event) -> Event[str]:
    return Event(event.type, _key_value(event.kv), _maybe(event.prev_kv), event.reason)


def _several(kvs: tuple[KeyValue, ...]) -> tuple[KeyValue[str], ...]:
    return tuple(map(_key_value, kvs))


def _maybe(kv: KeyValue | None) -> KeyValue[str] | None:
    return None if kv is None else _key_value(kv)


def _key_value(kv: KeyValue) -> KeyValue[str]:
    return KeyValue(
        _key(kv.key),
        _value(kv.key, kv.value),
        kv.create_revision,
        kv.mod_revision,
        kv.version,
        kv.lease,
    )


def _key(key: bytes) -> str:
    return _text(key, f"the key {key!r}")


def _value(key: bytes, value: bytes) -> str:
    return _text(value, f"the value of the key {key!r}")


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        fault = f"it has the byte 0x{data[error.start]:02x} at {error.start}"
        raise NotTextError(f"{what} is not UTF-8: {fault}") from None


# --- the two forms ----------------------------------------------------------------------------


BYTES: Final[DataForm[bytes]] = DataForm(
    put=replies.put_result,
    single=replies.single_result,
    range=replies.range_result,
    deleted=replies.of(DeleteResult),
    history=replies.of(HistoryResult),
    txn=replies.txn_result,
    lease=replies.of(LeaseTimeToLiveResult),
    key_value=lambda kv: kv,
    kvs=dict,
    event=lambda event: event,
    batch=lambda batch: batch,
    key=lambda key: key,
    value=lambda key, value: value,
)

TEXT: Final[DataForm[str]] = DataForm(
    put=lambda reply: _put(BYTES.put(reply)),
    single=lambda reply: _maybe(BYTES.single(reply)),
    range=lambda reply: _range(BYTES.range(reply)),
    deleted=lambda reply: _deleted(BYTES.deleted(reply)),
    history=lambda reply: _history(BYTES.history(reply)),
    txn=lambda reply: _txn(BYTES.txn(reply)),
    lease=lambda reply: _lease(BYTES.lease(reply)),
    key_value=_key_value,
    kvs=lambda kvs: {_key(key): _key_value(kv) for key, kv in kvs.items()},
    event=_event,
    batch=lambda batch: WatchBatch(batch.header, tuple(map(_event, batch.events))),
    key=_key,
    value=_value,
)
