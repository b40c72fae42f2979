"""`-w fields`: one `"Name" : value` in a line, as etcdctl prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster.cli.output import emit
from cluster.cli.printers import EndpointHash, EndpointHealth, EndpointStatus, Printer, truth
from cluster.cli.quoting import quoted
from cluster.client.results import (
    DeleteResult,
    Header,
    IncrementResult,
    PutResult,
    RangeResult,
    TxnResult,
)
from cluster.values import format_duration, format_seconds

if TYPE_CHECKING:
    from cluster.client.results import (
        AlarmResult,
        Event,
        HistoryResult,
        KeyValue,
        LeaseGrantResult,
        LeaseKeepAliveResult,
        LeaseListResult,
        LeaseRevokeResult,
        LeaseTimeToLiveResult,
        MemberListResult,
        WatchBatch,
    )


class FieldsPrinter(Printer):
    """Every field of a result, each in a line of its own."""

    lacking = frozenset(
        {
            "member add",
            "member remove",
            "member update",
            "member promote",
            "member replace",
            "move-leader",
        }
    )

    def put(self, result: PutResult) -> None:
        _header(result.header)
        if result.lease:
            _field("ID", result.lease)
            _field("TTL", format_seconds(result.ttl))
        if result.prev_kv is not None:
            _key_value("Prev", result.prev_kv)

    def get(self, result: RangeResult, values_only: bool = False) -> None:
        _header(result.header)
        for kv in result:
            _key_value("", kv)
        _field("More", truth(result.more))
        _field("Count", result.count)

    def delete(self, result: DeleteResult) -> None:
        _header(result.header)
        _field("Deleted", result.deleted)
        for kv in result.prev_kvs:
            _key_value("Prev", kv)

    def increment(self, result: IncrementResult) -> None:
        _header(result.header)
        _field("Value", result.value)

    def txn(self, result: TxnResult) -> None:
        _header(result.header)
        _field("Succeeded", truth(result.succeeded))
        for response in result.responses:
            # As in etcd, the header of a response within has only the revision.
            header = Header(0, 0, response.header.revision, 0)
            match response:
                case PutResult():
                    self.put(response._replace(header=header))
                case RangeResult():
                    self.get(RangeResult(header, response.kvs, response.more, response.count))
                case DeleteResult():
                    self.delete(response._replace(header=header))
                case IncrementResult():
                    self.increment(response._replace(header=header))
                case TxnResult():
                    self.txn(response._replace(header=header))

    def history(self, result: HistoryResult, values_only: bool = False) -> None:
        _header(result.header)
        for event in result.events:
            self._event(event)
            if event.reason:
                _field("Reason", quoted(event.reason.encode()))
        _field("More", truth(result.more))
        _field("Compacted", truth(result.compacted))

    def watch(self, batch: WatchBatch) -> None:
        _header(batch.header)
        for event in batch.events:
            self._event(event)

    def watch_canceled(self, header: Header, compact_revision: int) -> None:
        _header(header._replace(revision=0))

    def _event(self, event: Event) -> None:
        _field("Type", event.type)
        if event.prev_kv is not None:
            _key_value("Prev", event.prev_kv)
        _key_value("", event.kv)

    def lease_grant(self, result: LeaseGrantResult) -> None:
        _header(result.header)
        _field("ID", result.id)
        _field("TTL", format_seconds(result.ttl))

    def lease_revoke(self, lease_id: int, result: LeaseRevokeResult) -> None:
        _header(result.header)

    def lease_time_to_live(self, result: LeaseTimeToLiveResult, with_keys: bool) -> None:
        _header(result.header)
        _field("ID", result.id)
        _field("TTL", result.ttl)
        _field("GrantedTTL", format_seconds(result.granted_ttl))
        for key in result.keys or ():
            _field("Key", quoted(key))

    def lease_list(self, result: LeaseListResult) -> None:
        _header(result.header)
        for lease_id in result.ids:
            _field("ID", lease_id)

    def lease_keep_alive(self, result: LeaseKeepAliveResult) -> None:
        _header(result.header)
        _field("ID", result.id)
        _field("TTL", format_seconds(result.ttl))

    def member_list(self, result: MemberListResult) -> None:
        _header(result.header._replace(revision=0))
        for member in result.members:
            _field("ID", f"{member.id:x}" if self.is_hex else member.id)
            _field("Name", quoted(member.name.encode()))
            for url in member.peer_urls:
                _field("PeerURL", quoted(url.encode()))
            for url in member.client_urls:
                _field("ClientURL", quoted(url.encode()))
            _field("IsLearner", truth(member.is_learner))
            emit(b"")

    def endpoint_status(self, rows: list[EndpointStatus]) -> None:
        for endpoint, status in rows:
            _header(status.header)
            _field("Version", quoted(status.version.encode()))
            _field("DBSize", status.db_size)
            _field("Leader", status.leader)
            _field("IsLearner", truth(status.is_learner))
            _field("RaftIndex", status.raft_index)
            _field("RaftTerm", status.raft_term)
            _field("RaftAppliedIndex", status.raft_applied_index)
            _field("Errors", f"[{' '.join(status.errors)}]")
            _field("Endpoint", quoted(endpoint.encode()))
            emit(b"")

    def endpoint_health(self, rows: list[EndpointHealth]) -> None:
        for row in rows:
            _field("Endpoint", quoted(row.endpoint.encode()))
            _field("Health", truth(not row.error))
            _field("Took", format_duration(row.took_seconds))
            _field("Error", row.error)
            emit(b"")

    def endpoint_hash(self, rows: list[EndpointHash]) -> None:
        for endpoint, result in rows:
            _header(result.header)
            _field("Endpoint", quoted(endpoint.encode()))
            _field("Hash", result.hash)
            emit(b"")

    def alarm(self, result: AlarmResult, is_list: bool) -> None:
        _header(result.header)
        for alarm in result.alarms:
            _field("MemberID", alarm.member_id)
            _field("AlarmType", alarm.alarm)


def _header(header: Header) -> None:
    _field("ClusterID", header.cluster_id)
    _field("MemberID", header.member_id)
    _field("Revision", header.revision)
    _field("RaftTerm", header.raft_term)


def _key_value(prefix: str, kv: KeyValue) -> None:
    _field(f"{prefix}Key", quoted(kv.key))
    _field(f"{prefix}CreateRevision", kv.create_revision)
    _field(f"{prefix}ModRevision", kv.mod_revision)
    _field(f"{prefix}Version", kv.version)
    _field(f"{prefix}Value", quoted(kv.value))
    _field(f"{prefix}Lease", kv.lease)


def _field(name: str, value: Any) -> None:
    emit(f'"{name}" : {value}'.encode())
