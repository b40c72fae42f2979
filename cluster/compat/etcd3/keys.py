"""The calls for keys: get, put, delete, transactions; and the answers to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from cluster.client.requests import Key
from cluster.client.results import (
    DeleteResult,
    Header,
    KeyValue,
    PutResult,
    RangeResult,
    TxnResponse,
    TxnResult,
)
from cluster.compat.etcd3 import etcdrpc
from cluster.compat.etcd3.calls import Calls
from cluster.compat.etcd3.exceptions import translated
from cluster.compat.etcd3.transactions import (
    BaseCompare,
    Create,
    Operation,
    Put,
    Value,
    conditions,
    operations,
)
from cluster.compat.etcd3.utils import lease_to_id, prefix_range_end, to_bytes
from cluster.protocol import RangeOptions

ALL_KEYS: Final = b"\0"

_ORDERS: Final = {None: "NONE", "ascend": "ASCEND", "descend": "DESCEND"}
_TARGETS: Final = {
    None: "KEY",
    "key": "KEY",
    "version": "VERSION",
    "create": "CREATE",
    "mod": "MOD",
    "value": "VALUE",
}


class KVMetadata:
    """What is known of a key beside its value; `lease_id` is 0 for none."""

    def __init__(self, keyvalue: KeyValue, header: Header) -> None:
        self.key = keyvalue.key
        self.create_revision = keyvalue.create_revision
        self.mod_revision = keyvalue.mod_revision
        self.version = keyvalue.version
        self.lease_id = keyvalue.lease
        self.response_header = header


Found = tuple[bytes, KVMetadata]
"""The value of a key, and the rest."""

Answer = list[Found] | etcdrpc.ResponseOp
"""The answer to an operation of a transaction: what a `get` has found, or a message."""


class KeyCalls(Calls):
    """The calls for keys.

    Reads take `sort_order` ("ascend", "descend"), `sort_target` ("key", "version", "create", "mod",
    "value"), `limit`, `revision`, `serializable`, `keys_only`, `count_only` and bounds of revisions
    (`min_mod_revision`, `max_mod_revision`, `min_create_revision`, `max_create_revision`).
    """

    # --- reads ---

    @translated
    def get_response(self, key: Key, **kwargs: Any) -> etcdrpc.RangeResponse:
        """Read one key, or the keys up to `range_end`; with the header of the answer."""
        range_end = kwargs.pop("range_end", None)
        return _found(self._client.range(to_bytes(key), range_end, **_options(kwargs)))

    def get(self, key: Key, **kwargs: Any) -> Found | tuple[None, None]:
        """The value of a key and its KVMetadata; None and None when there is no such key."""
        return next(_pairs(self.get_response(key, **kwargs)), (None, None))

    def get_prefix_response(self, key_prefix: Key, **kwargs: Any) -> etcdrpc.RangeResponse:
        """Read the keys that begin with a prefix."""
        if kwargs.keys() & {"key", "range_end"}:
            raise TypeError("Don't use key and range_end here: the prefix says which keys it is")
        return self.get_response(key_prefix, range_end=_end_of(key_prefix), **kwargs)

    def get_prefix(self, key_prefix: Key, **kwargs: Any) -> Iterator[Found]:
        """The values and KVMetadata of the keys that begin with a prefix."""
        return _pairs(self.get_prefix_response(key_prefix, **kwargs))

    def get_range_response(
        self, range_start: Key, range_end: Key, **kwargs: Any
    ) -> etcdrpc.RangeResponse:
        """Read the keys from one key up to, but without, another one."""
        return self.get_response(range_start, range_end=range_end, **kwargs)

    def get_range(self, range_start: Key, range_end: Key, **kwargs: Any) -> Iterator[Found]:
        """The values and KVMetadata of the keys from one key up to, but without, another one."""
        return _pairs(self.get_range_response(range_start, range_end, **kwargs))

    def get_all_response(self, **kwargs: Any) -> etcdrpc.RangeResponse:
        """Read all keys."""
        return self.get_response(ALL_KEYS, range_end=ALL_KEYS, **kwargs)

    def get_all(self, **kwargs: Any) -> Iterator[Found]:
        """The values and KVMetadata of all keys."""
        return _pairs(self.get_all_response(**kwargs))

    # --- writes ---

    @translated
    def put(
        self, key: Key, value: Key, lease: Any = None, prev_kv: bool = False
    ) -> etcdrpc.PutResponse:
        """Set a key. `lease` is a Lease or its id."""
        put = self._client.put(key, value, lease=lease_to_id(lease), prev_kv=prev_kv)
        return _put(put)

    def put_if_not_exists(self, key: Key, value: Key, lease: Any = None) -> bool:
        """Set a key that does not exist; whether it was set."""
        is_new = Create(key) == 0
        succeeded, _ = self.transaction([is_new], [Put(key, value, lease)])
        return succeeded

    def replace(self, key: Key, initial_value: Key, new_value: Key) -> bool:
        """Set a key that has a certain value; whether it was set."""
        is_initial = Value(key) == initial_value
        succeeded, _ = self.transaction([is_initial], [Put(key, new_value)])
        return succeeded

    @translated
    def delete(
        self, key: Key, prev_kv: bool = False, return_response: bool = False
    ) -> bool | etcdrpc.DeleteRangeResponse:
        """Delete a key; whether there was one, or with `return_response` the whole answer."""
        deleted = self._client.delete(key, prev_kv=prev_kv)
        return _deleted(deleted) if return_response else deleted.deleted > 0

    @translated
    def delete_prefix(self, prefix: Key) -> etcdrpc.DeleteRangeResponse:
        """Delete the keys that begin with a prefix. An empty prefix is refused, as by etcd."""
        return _deleted(self._client.delete(prefix, _end_of(prefix)))

    @translated
    def transaction(
        self,
        compare: Sequence[BaseCompare],
        success: Sequence[Operation] | None = None,
        failure: Sequence[Operation] | None = None,
    ) -> tuple[bool, list[Answer]]:
        """Do the operations of `success` if all compares hold, else those of `failure`.

        Returns whether they held, and the answers to the operations.
        """
        txn = self._client.txn().if_(*conditions(compare))
        txn.then(*operations(success)).else_(*operations(failure))
        done = txn.commit()
        return done.succeeded, [_answer(response) for response in done.responses]

    @translated
    def compact(self, revision: int, physical: bool = False) -> None:
        """Delete the history before a revision."""
        self._client.compact(revision, physical)


def _end_of(prefix: Key) -> bytes:
    return prefix_range_end(to_bytes(prefix))


def _options(given: dict[str, Any]) -> RangeOptions:
    """The options of a read, as the client takes them; None stands for an option not given."""
    options = {name: value for name, value in given.items() if value is not None}
    for name, words in (("sort_order", _ORDERS), ("sort_target", _TARGETS)):
        word = options.get(name)
        if word not in words:
            known = ", ".join(repr(each) for each in words if each)
            raise ValueError(f"{name} must be one of {known}, not {word!r}")
        options[name] = words[word]
    return cast("RangeOptions", options)


def _pairs(response: etcdrpc.RangeResponse) -> Iterator[Found]:
    return iter([(kv.value, KVMetadata(kv, response.header)) for kv in response.kvs])


# --- the answers of the client as those of etcd -----------------------------------------------


def _found(result: RangeResult) -> etcdrpc.RangeResponse:
    return etcdrpc.RangeResponse(result.header, list(result.kvs), result.more, result.count)


def _put(result: PutResult) -> etcdrpc.PutResponse:
    return etcdrpc.PutResponse(result.header, result.prev_kv or etcdrpc.NO_KEY_VALUE)


def _deleted(result: DeleteResult) -> etcdrpc.DeleteRangeResponse:
    return etcdrpc.DeleteRangeResponse(result.header, result.deleted, list(result.prev_kvs))


def _answer(response: TxnResponse) -> Answer:
    if isinstance(response, RangeResult):
        return list(_pairs(_found(response)))
    return _message(response)


def _message(response: TxnResponse) -> etcdrpc.ResponseOp:
    if isinstance(response, PutResult):
        return etcdrpc.ResponseOp(response_put=_put(response))
    if isinstance(response, RangeResult):
        return etcdrpc.ResponseOp(response_range=_found(response))
    if isinstance(response, DeleteResult):
        return etcdrpc.ResponseOp(response_delete_range=_deleted(response))
    assert isinstance(response, TxnResult), "no operation of this package increments"
    inner = [_message(one) for one in response.responses]
    txn = etcdrpc.TxnResponse(response.header, response.succeeded, inner)
    return etcdrpc.ResponseOp(response_txn=txn)
