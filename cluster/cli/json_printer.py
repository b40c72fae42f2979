"""`-w json`: what Go's encoding/json makes of etcd's response structs.

Fields in their order, zero values left out, keys and values in base64, ids in decimal.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from cluster.cli.app import emit
from cluster.cli.printers import EndpointHealth, EndpointStatus, Printer
from cluster.cli.values import format_duration

if TYPE_CHECKING:
    from cluster.client.results import (
        DeleteResult,
        Event,
        Header,
        KeyValue,
        LeaseGrantResult,
        LeaseKeepAliveResult,
        LeaseListResult,
        LeaseRevokeResult,
        LeaseTimeToLiveResult,
        MemberListResult,
        PutResult,
        RangeResult,
        WatchBatch,
    )

Fields = dict[str, Any]


class JsonPrinter(Printer):
    """One JSON document in a line for each result."""

    def put(self, result: PutResult) -> None:
        previous = None if result.prev_kv is None else _key_value(result.prev_kv)
        _print(_whole({"header": _header(result.header), "prev_kv": previous}))

    def get(self, result: RangeResult, values_only: bool = False) -> None:
        fields: Fields = {
            "header": _header(result.header),
            "kvs": [_key_value(kv) for kv in result],
            "more": result.more,
            "count": result.count,
        }
        _print(_whole(fields))

    def delete(self, result: DeleteResult) -> None:
        previous = [_key_value(kv) for kv in result.prev_kvs]
        fields = {
            "header": _header(result.header),
            "deleted": result.deleted,
            "prev_kvs": previous,
        }
        _print(_whole(fields))

    def watch(self, batch: WatchBatch) -> None:
        _print(
            {
                "Header": _header(batch.header),
                "Events": [_event(event) for event in batch.events],
                "CompactRevision": 0,
                "Canceled": False,
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
        # As in etcd, the header of a member list has no revision.
        header = self._ids(_header(result.header._replace(revision=0)), "cluster_id", "member_id")
        members = [
            self._ids(
                _whole(
                    {
                        "ID": member.id,
                        "name": member.name,
                        "peerURLs": list(member.peer_urls),
                        "clientURLs": list(member.client_urls),
                        "isLearner": member.is_learner,
                    }
                ),
                "ID",
            )
            for member in result.members
        ]
        _print({"header": header, "members": members})

    def endpoint_status(self, rows: list[EndpointStatus]) -> None:
        _print([{"Endpoint": row.endpoint, "Status": _status(row)} for row in rows])

    def endpoint_health(self, rows: list[EndpointHealth]) -> None:
        documents = []
        for row in rows:
            took = format_duration(row.took_seconds)
            document = {"endpoint": row.endpoint, "health": not row.error, "took": took}
            documents.append({**document, "error": row.error} if row.error else document)
        _print(documents)

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


def _event(event: Event) -> Fields:
    previous = None if event.prev_kv is None else _key_value(event.prev_kv)
    kind = 1 if event.type == "DELETE" else 0
    return _whole({"type": kind, "kv": _key_value(event.kv), "prev_kv": previous})


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
