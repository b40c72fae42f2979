"""From a result of the store to the bytes of its reply (cluster/PROTOCOL.md).

Pure bytes: knows nothing of tickets, of connections, or of how a result came about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from actors.gateway.keys import RESPONSES
from actors.language.auth import Permission
from actors.language.commands import AlarmMember, Member
from actors.language.encoding import (
    FrameEncoder,
    Listing,
    Packing,
    error_reply,
    event_map,
    key_value,
)
from actors.language.limits import NO_LIMITS
from actors.language.metrics import (
    GatewayMetrics,
    RaftMetrics,
    StoreMetrics,
    Survey,
    WatchMetrics,
)
from actors.language.results import (
    Alarms,
    Authenticated,
    AuthStatusDone,
    DeleteDone,
    Failure,
    HistoryDone,
    LeaseGranted,
    LeaseKeptAlive,
    LeaseLife,
    Leases,
    Members,
    PutDone,
    RangeDone,
    Result,
    RoleDone,
    StatusDone,
    TxnDone,
    TxnResponse,
)
from cluster.faults import FAULTS, NOT_CAUGHT_UP

ReplyFields = dict[str, Any]

Lists = Callable[[Sequence[Any], Callable[[Any], Any]], Any]
"""Makes a list of a reply: of these items, each made a field by a function."""

ITEMS_AT_ONCE: Final = 256
"""A longer answer is encoded in portions, between turns."""

_PLAIN_PUT: Final = PutDone(0, None)[1:]


class ReplyEncoder(FrameEncoder):
    """Encodes the replies of one node.

    `version`, `request_bytes_max` and `quota_bytes` (0: none) are for `status`.
    """

    def __init__(
        self,
        cluster_id: int,
        member_id: int,
        version: str,
        request_bytes_max: int,
        quota_bytes: int = 0,
    ) -> None:
        super().__init__(cluster_id, member_id)
        self._version: Final = version
        self._request_bytes_max: Final = request_bytes_max
        self._quota: Final = {"dbSizeQuota": quota_bytes} if quota_bytes else {}

    def encode(self, request_id: bytes, result: Result, added: int = 0) -> bytes | Packing:
        """The reply to the request with this packed id (b"" for none), or the steps to a long one.

        `added` is the id of the member that the request added, 0 if it added none.
        """
        match result:
            case PutDone(revision, None, ttl_ms=0):
                return self.acknowledgement(request_id, revision)
            case RangeDone(_, kvs, more, count):
                # A slice, since len() would be a call on the way of each get. The count would not
                # do: a page without one has 0.
                if kvs[ITEMS_AT_ONCE:]:
                    return self._in_portions(request_id, result)
                fields = {"kvs": [*map(key_value, kvs)], "more": more, "count": count}
            case Failure(name):
                return error_reply(request_id, FAULTS[name])
            case StatusDone():
                fields = self._status(result)
            case _ if _items(result) > ITEMS_AT_ONCE:
                return self._in_portions(request_id, result)
            case _:
                fields = _fields(result, _at_once)
        if added and isinstance(result, Members):
            (newcomer,) = (member for member in result.members if member.id == added)
            fields["member"] = _member(newcomer)
        return self.reply(request_id, result.revision, fields)

    def encode_moved(self, request_id: bytes) -> bytes:
        """The reply to a move_leader; it has no revision, since the store has no part in it."""
        return self.acknowledgement(request_id, 0)

    def encode_survey(self, request_id: bytes, survey: Survey, own: GatewayMetrics) -> bytes:
        """The reply to metrics: a survey that has come round the ring, and the gateway's part."""
        _, revision, raft, store, watch, _ = survey
        assert raft is not None and store is not None and watch is not None, "all have added theirs"
        return self.reply(request_id, revision, _counted(raft, store, watch, own))

    def _in_portions(self, request_id: bytes, result: Result) -> Packing:
        assert not isinstance(result, Failure), "a failure lists nothing"
        fields = _fields(result, Listing)
        return self.reply_in_portions(request_id, result.revision, fields)

    def _status(self, status: StatusDone) -> ReplyFields:
        raft = status.raft
        return {
            "version": self._version,
            "dbSize": status.db_size,
            "dbSizeInUse": status.db_size_in_use,
            **self._quota,
            "maxRequestBytes": self._request_bytes_max,
            "leader": raft.leader,
            "raftIndex": raft.last_index,
            "raftTerm": raft.term,
            "raftAppliedIndex": status.applied_index,
            "isLearner": raft.is_learner,
            "errors": _troubles(status),
        }


def _items(result: Result) -> int:
    """How many key-values, events, keys or leases an answer lists."""
    match result:
        case TxnDone(_, _, responses):
            return sum([_items(each) for each in responses if type(each) is not PutDone])
        case RangeDone(_, listed) | DeleteDone(_, _, listed) | HistoryDone(_, listed):
            return len(listed)
        case Leases(_, ids):
            return len(ids)
        case LeaseLife():
            return len(result.keys or ())
        case _:
            return 0


def _at_once(items: Sequence[Any], as_field: Callable[[Any], Any]) -> list[Any]:
    return [as_field(each) for each in items]


def _fields(result: Result, listed: Lists) -> ReplyFields:
    """The fields of a reply, by the names of the protocol's table; `listed` makes its lists.

    A result whose fields have those names, and values in the form of the protocol, needs no case.
    """
    match result:
        case RangeDone(_, kvs, more, count):
            return {"kvs": listed(kvs, key_value), "more": more, "count": count}
        case PutDone(_, prev_kv, lease, ttl_ms):
            fields: ReplyFields = {} if prev_kv is None else {"prev_kv": key_value(prev_kv)}
            return {**fields, "lease": lease, "TTL": seconds(ttl_ms)} if ttl_ms else fields
        case DeleteDone(_, deleted, prev_kvs):
            previous = {"prev_kvs": listed(prev_kvs, key_value)} if prev_kvs else {}
            return {"deleted": deleted, **previous}
        case TxnDone(_, succeeded, responses):
            done = [_response(each, listed) for each in responses]
            return {"succeeded": succeeded, "responses": done}
        case LeaseGranted(_, lease_id, ttl_ms) | LeaseKeptAlive(_, lease_id, ttl_ms):
            return {"ID": lease_id, "TTL": seconds(ttl_ms)}
        case LeaseLife():
            return _life(result, listed)
        case Leases(_, ids):
            return {"leases": listed(ids, _lease)}
        case Members(_, members, waiting):
            fields = {"members": [_member(member) for member in members]}
            return {**fields, "waiting": True} if waiting else fields
        case HistoryDone(_, events, more, compacted):
            return {"events": listed(events, event_map), "more": more, "compacted": compacted}
        case RoleDone(_, permissions, limits):
            shown = {} if limits == NO_LIMITS else {"limits": limits._asdict()}
            return {"perm": [_permission(each) for each in permissions], **shown}
        case Authenticated(_, token, ttl_seconds):
            return {"token": token, "TTL": ttl_seconds}
        case AuthStatusDone(_, enabled, auth_revision):
            return {"enabled": enabled, "authRevision": auth_revision}
        case Alarms(_, alarms):
            return {"alarms": [_alarm(alarm) for alarm in alarms]}
        case _:
            fields = result._asdict()
            del fields["revision"]
            return fields


def _response(result: TxnResponse, listed: Lists) -> ReplyFields:
    response = {"header": {"revision": result.revision}}
    # Most puts of a transaction have nothing else to tell.
    if type(result) is not PutDone or result[1:] != _PLAIN_PUT:
        response |= _fields(result, listed)
    return {RESPONSES[type(result)]: response}


def _lease(lease_id: int) -> ReplyFields:
    return {"ID": lease_id}


def _itself(key: bytes) -> bytes:
    return key


def seconds(milliseconds: int) -> int | float:
    """A TTL in seconds: an integer if it is whole, as etcd's always are."""
    whole, rest = divmod(milliseconds, 1_000)
    return milliseconds / 1_000 if rest else whole


def _life(life: LeaseLife, listed: Lists) -> ReplyFields:
    fields: ReplyFields = {
        "ID": life.id,
        # etcd's whole seconds, rounded down; -1 says that there is no such lease.
        "TTL": life.remaining_ms // 1_000 if life.remaining_ms >= 0 else -1,
        "grantedTTL": seconds(life.granted_ms),
        "remaining_ms": life.remaining_ms,
    }
    if life.keys is not None:
        fields["keys"] = listed(life.keys, _itself)
    return fields


def _member(member: Member) -> ReplyFields:
    return {
        "ID": member.id,
        "name": member.name,
        "peerURLs": member.peer_urls,
        "clientURLs": member.client_urls,
        "isLearner": member.is_learner,
        **({"keys": member.keys} if member.keys else {}),
    }


def _counted(
    raft: RaftMetrics, store: StoreMetrics, watch: WatchMetrics, gateway: GatewayMetrics
) -> ReplyFields:
    peers = [
        {"ID": peer.id, "is_active": peer.is_active, "round_trips": peer.round_trips._asdict()}
        for peer in raft.peers
    ]
    return {
        **gateway._asdict(),
        **raft._asdict(),
        **store._asdict(),
        **watch._asdict(),
        "wal_syncs": raft.wal_syncs._asdict(),
        "backend_commits": store.backend_commits._asdict(),
        "peers": peers,
        "alarms": [_alarm(alarm) for alarm in store.alarms],
    }


def _permission(permission: Permission) -> ReplyFields:
    kind, key, range_end = permission
    return {"permType": kind.name, "key": key, "range_end": range_end}


def _alarm(alarm: AlarmMember) -> ReplyFields:
    return {"memberID": alarm.member_id, "alarm": alarm.alarm.name}


def _troubles(status: StatusDone) -> list[str]:
    """The `errors` of a status: etcd's texts, with the blank that etcd has at an alarm's end."""
    leaderless = [] if status.raft.leader else [FAULTS["NoLeader"].message]
    alarms = [f"memberID:{member} alarm:{alarm.name} " for member, alarm in status.alarms]
    late = [] if status.raft.has_caught_up else [NOT_CAUGHT_UP]
    return leaderless + late + alarms
