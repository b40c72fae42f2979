"""`-w json`: what Go's encoding/json makes of etcd's response structs.

Fields in their order, zero values left out, keys and values in base64, ids in decimal.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from cluster.cli.output import emit
from cluster.cli.printers import EndpointHash, EndpointHealth, EndpointStatus, Printer
from cluster.client.results import (
    DeleteResult,
    IncrementResult,
    PutResult,
    RangeResult,
    TxnResponse,
    TxnResult,
)
from cluster.protocol import ALARM_NAME
from cluster.values import format_duration

if TYPE_CHECKING:
    from cluster.client.results import (
        AlarmResult,
        Event,
        Header,
        HistoryResult,
        KeyValue,
        LeaseGrantResult,
        LeaseKeepAliveResult,
        LeaseListResult,
        LeaseRevokeResult,
        LeaseTimeToLiveResult,
        Member,
        MemberAddResult,
        MemberListResult,
        MoveLeaderResult,
        WatchBatch,
    )

Fields = dict[str, Any]


class JsonPrinter(Printer):
    """One JSON document in a line for each result."""

    def put(self, result: PutResult) -> None:
        _print(_put(_header(result.header), result))

    def get(self, result: RangeResult, values_only: bool = False) -> None:
        _print(_range(_header(result.header), result))

    def delete(self, result: DeleteResult) -> None:
        _print(_delete(_header(result.header), result))

    def increment(self, result: IncrementResult) -> None:
        _print({"header": _header(result.header), "value": result.value})

    def txn(self, result: TxnResult) -> None:
        _print(_txn(_header(result.header), result))

    def history(self, result: HistoryResult, values_only: bool = False) -> None:
        events = [_whole({**_event(event), "reason": event.reason}) for event in result.events]
        fields = {"more": result.more, "compacted": result.compacted}
        _print({"header": _header(result.header), "events": events, **_whole(fields)})

    def watch(self, batch: WatchBatch) -> None:
        self._watch(batch.header, [_event(event) for event in batch.events])

    def watch_canceled(self, header: Header, compact_revision: int) -> None:
        self._watch(header._replace(revision=0), [], compact_revision, canceled=True)

    def _watch(
        self,
        header: Header,
        events: list[Fields],
        compact_revision: int = 0,
        canceled: bool = False,
    ) -> None:
        _print(
            {
                "Header": _header(header),
                "Events": events,
                "CompactRevision": compact_revision,
                "Canceled": canceled,
                "Created": False,
            }
        )

    def lease_grant(self, result: LeaseGrantResult) -> None:
        lease = {"ID": result.id, "TTL": _number(result.ttl), "Error": ""}
        _print({**_header(result.header), **lease})

    def lease_revoke(self, lease_id: int, result: LeaseRevokeResult) -> None:
        _print({"header": _header(result.header)})

    def lease_time_to_live(self, result: LeaseTimeToLiveResult, with_keys: bool) -> None:
        lease = {
            "id": result.id,
            "ttl": result.ttl,
            "granted-ttl": _number(result.granted_ttl),
            "keys": [_base64(key) for key in result.keys] if result.keys else None,
        }
        _print({**_header(result.header), **lease})

    def lease_list(self, result: LeaseListResult) -> None:
        leases = [{"id": lease_id} for lease_id in result.ids]
        _print({**_header(result.header), "leases": leases})

    def lease_keep_alive(self, result: LeaseKeepAliveResult) -> None:
        lease = {"ID": result.id, "TTL": _number(result.ttl)}
        _print({**_header(result.header), **lease})

    def member_list(self, result: MemberListResult) -> None:
        _print(self._members(result))

    def member_add(self, result: MemberAddResult, name: str) -> None:
        listed = self._members(result)
        _print(
            {
                "header": listed["header"],
                "member": self._member(result.member),
                "members": listed["members"],
            }
        )

    def member_replace(self, removed_id: int, result: MemberAddResult, name: str) -> None:
        self.member_add(result, name)

    def member_changed(self, member_id: int, done: str, result: MemberListResult) -> None:
        _print(self._members(result))

    def move_leader(self, result: MoveLeaderResult) -> None:
        _print({})  # as etcd's, whose answer has not even a header

    def _members(self, result: MemberListResult | MemberAddResult) -> Fields:
        # As in etcd, the header of an answer about members has no revision.
        header = self._ids(_header(result.header._replace(revision=0)), "cluster_id", "member_id")
        return {"header": header, "members": [self._member(member) for member in result.members]}

    def _member(self, member: Member) -> Fields:
        fields = {
            "ID": member.id,
            "name": member.name,
            "peerURLs": list(member.peer_urls),
            "clientURLs": list(member.client_urls),
            "isLearner": member.is_learner,
        }
        return self._ids(_whole(fields), "ID")

    def endpoint_status(self, rows: list[EndpointStatus]) -> None:
        _print([{"Endpoint": row.endpoint, "Status": _status(row)} for row in rows])

    def endpoint_health(self, rows: list[EndpointHealth]) -> None:
        documents = []
        for row in rows:
            took = format_duration(row.took_seconds)
            document = {"endpoint": row.endpoint, "health": not row.error, "took": took}
            documents.append({**document, "error": row.error} if row.error else document)
        _print(documents)

    def endpoint_hash(self, rows: list[EndpointHash]) -> None:
        _print([{"Endpoint": row.endpoint, "HashKV": _hash(row)} for row in rows])

    def alarm(self, result: AlarmResult, is_list: bool) -> None:
        alarms = [
            {"memberID": alarm.member_id, "alarm": ALARM_NAME.words.index(alarm.alarm)}
            for alarm in result.alarms
        ]
        # etcd's client clears them one by one, and has no header for all of it.
        header = _header(result.header) if is_list else {}
        _print(_whole({"header": header, "alarms": alarms}))

    def _ids(self, fields: Fields, *names: str) -> Fields:
        if self.is_hex:
            for name in names:
                fields[name] = f"{fields[name]:x}"
        return fields


def _whole(fields: Fields) -> Fields:
    """The fields without those that have their zero value."""
    return {name: value for name, value in fields.items() if value}


def _header(header: Header) -> Fields:
    return _whole(header._asdict())


def _key_value(kv: KeyValue) -> Fields:
    return _whole(
        {
            "key": _base64(kv.key),
            "create_revision": kv.create_revision,
            "mod_revision": kv.mod_revision,
            "version": kv.version,
            "value": _base64(kv.value),
            "lease": kv.lease,
        }
    )


def _put(header: Fields, result: PutResult) -> Fields:
    previous = None if result.prev_kv is None else _key_value(result.prev_kv)
    lease = {"lease": result.lease, "TTL": _number(result.ttl)} if result.lease else {}
    return _whole({"header": header, "prev_kv": previous, **lease})


def _range(header: Fields, result: RangeResult) -> Fields:
    kvs = [_key_value(kv) for kv in result]
    return _whole({"header": header, "kvs": kvs, "more": result.more, "count": result.count})


def _delete(header: Fields, result: DeleteResult) -> Fields:
    previous = [_key_value(kv) for kv in result.prev_kvs]
    return _whole({"header": header, "deleted": result.deleted, "prev_kvs": previous})


def _txn(header: Fields, result: TxnResult) -> Fields:
    responses = [{"Response": _response(response)} for response in result.responses]
    return _whole({"header": header, "succeeded": result.succeeded, "responses": responses})


def _response(response: TxnResponse) -> Fields:
    """One response of a transaction; as in etcd, its header has only the revision."""
    header = {"revision": response.header.revision}
    match response:
        case PutResult():
            return {"response_put": _put(header, response)}
        case RangeResult():
            return {"response_range": _range(header, response)}
        case DeleteResult():
            return {"response_delete_range": _delete(header, response)}
        case IncrementResult():
            return {"response_increment": {"header": header, "value": response.value}}
        case TxnResult():
            return {"response_txn": _txn(header, response)}


def _event(event: Event) -> Fields:
    previous = None if event.prev_kv is None else _key_value(event.prev_kv)
    kind = 1 if event.type == "DELETE" else 0
    return _whole({"type": kind, "kv": _key_value(event.kv), "prev_kv": previous})


def _hash(row: EndpointHash) -> Fields:
    result = row.result
    return _whole(
        {
            "header": _header(result.header),
            "hash": result.hash,
            "compact_revision": result.compact_revision,
            "hash_revision": result.hash_revision,
        }
    )


def _status(row: EndpointStatus) -> Fields:
    status = row.status
    return _whole(
        {
            "header": _header(status.header),
            "version": status.version,
            "dbSize": status.db_size,
            "leader": status.leader,
            "raftIndex": status.raft_index,
            "raftTerm": status.raft_term,
            "raftAppliedIndex": status.raft_applied_index,
            "errors": list(status.errors),
            "dbSizeInUse": status.db_size_in_use,
            "isLearner": status.is_learner,
        }
    )


def _number(value: float) -> float:
    return int(value) if value == int(value) else value


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()


def _print(document: Any) -> None:
    emit(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode())
