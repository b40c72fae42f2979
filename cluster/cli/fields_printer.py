"""`-w fields`: one `"Name" : value` in a line, as etcdctl prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster.cli.app import emit
from cluster.cli.printers import EndpointHealth, EndpointStatus, Printer, truth
from cluster.cli.values import format_duration, format_seconds

if TYPE_CHECKING:
    from cluster.client.results import (
        DeleteResult,
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

_ESCAPES = {0x22: '\\"', 0x5C: "\\\\", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t"}


class FieldsPrinter(Printer):
    """Every field of a result, each in a line of its own."""

    def put(self, result: PutResult) -> None:
        _header(result.header)
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

    def watch(self, batch: WatchBatch) -> None:
        _header(batch.header)
        for event in batch.events:
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
            _field("Key", _quoted(key))

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
            _field("Name", _quoted(member.name.encode()))
            for url in member.peer_urls:
                _field("PeerURL", _quoted(url.encode()))
            for url in member.client_urls:
                _field("ClientURL", _quoted(url.encode()))
            _field("IsLearner", truth(member.is_learner))
            emit(b"")

    def endpoint_status(self, rows: list[EndpointStatus]) -> None:
        for endpoint, status in rows:
            _header(status.header)
            _field("Version", _quoted(status.version.encode()))
            _field("DBSize", status.db_size)
            _field("Leader", status.leader)
            _field("IsLearner", truth(status.is_learner))
            _field("RaftIndex", status.raft_index)
            _field("RaftTerm", status.raft_term)
            _field("RaftAppliedIndex", status.raft_applied_index)
            _field("Errors", f"[{' '.join(status.errors)}]")
            _field("Endpoint", _quoted(endpoint.encode()))
            emit(b"")

    def endpoint_health(self, rows: list[EndpointHealth]) -> None:
        for row in rows:
            _field("Endpoint", _quoted(row.endpoint.encode()))
            _field("Health", truth(not row.error))
            _field("Took", format_duration(row.took_seconds))
            _field("Error", row.error)
            emit(b"")


def _header(header: Header) -> None:
    _field("ClusterID", header.cluster_id)
    _field("MemberID", header.member_id)
    if header.revision > 0:
        _field("Revision", header.revision)
    _field("RaftTerm", header.raft_term)


def _key_value(prefix: str, kv: KeyValue) -> None:
    _field(f"{prefix}Key", _quoted(kv.key))
    _field(f"{prefix}CreateRevision", kv.create_revision)
    _field(f"{prefix}ModRevision", kv.mod_revision)
    _field(f"{prefix}Version", kv.version)
    _field(f"{prefix}Value", _quoted(kv.value))
    _field(f"{prefix}Lease", kv.lease)


def _quoted(raw: bytes) -> str:
    """A Go string literal: printable text as it is, other bytes escaped."""
    text = raw.decode("utf-8", "surrogateescape")
    return '"' + "".join(map(_character, text)) + '"'


def _character(character: str) -> str:
    code = ord(character)
    if code in _ESCAPES:
        return _ESCAPES[code]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if character.isprintable():
        return character
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"


def _field(name: str, value: Any) -> None:
    emit(f'"{name}" : {value}'.encode())
