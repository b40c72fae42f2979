"""From a result of the store to the bytes of its reply (cluster/PROTOCOL.md).

Pure bytes: knows nothing of tickets, of connections, or of how a result came about.
"""

from __future__ import annotations

from typing import Any, Final, assert_never

from actors.encoding import FrameEncoder, error_reply, key_value
from actors.store.commands import (
    DeleteDone,
    Done,
    Failure,
    LeaseGranted,
    LeaseKeptAlive,
    LeaseLife,
    LeaseRevoked,
    Leases,
    Member,
    Members,
    PutDone,
    RangeDone,
    Result,
    SessionOpened,
    StatusDone,
)
from cluster.errors import FAULTS

Fields = dict[str, Any]

Success = (
    PutDone
    | DeleteDone
    | LeaseGranted
    | LeaseRevoked
    | LeaseKeptAlive
    | SessionOpened
    | Done
    | RangeDone
    | LeaseLife
    | Leases
    | Members
    | StatusDone
)
"""A result with a revision: all but Failure."""


class ReplyEncoder(FrameEncoder):
    """Encodes the replies of one node; `version` is what `status` calls it."""

    def __init__(self, cluster_id: int, member_id: int, version: str) -> None:
        super().__init__(cluster_id, member_id)
        self._version: Final = version

    def encode(self, request_id: bytes, result: Result) -> bytes:
        """The whole reply to the request with this packed id (b"" for none)."""
        if isinstance(result, PutDone) and result.prev_kv is None:
            return self.acknowledgement(request_id, result.revision)
        if isinstance(result, Failure):
            return error_reply(request_id, FAULTS[result.name])
        return self.reply(request_id, result.revision, self._fields(result))

    def _fields(self, result: Success) -> Fields:
        match result:
            case RangeDone(_, kvs, more, count):
                return {"kvs": [key_value(kv) for kv in kvs], "more": more, "count": count}
            case PutDone(_, prev_kv):
                return {} if prev_kv is None else {"prev_kv": key_value(prev_kv)}
            case DeleteDone(_, deleted, prev_kvs):
                fields: Fields = {"deleted": deleted}
                if prev_kvs:
                    fields["prev_kvs"] = [key_value(kv) for kv in prev_kvs]
                return fields
            case LeaseGranted(_, lease_id, ttl_ms) | LeaseKeptAlive(_, lease_id, ttl_ms):
                return {"ID": lease_id, "TTL": seconds(ttl_ms)}
            case LeaseLife():
                return _life(result)
            case SessionOpened(_, session):
                return {"session": session}
            case Done() | LeaseRevoked():
                return {}
            case Leases(_, ids):
                return {"leases": [{"ID": lease_id} for lease_id in ids]}
            case Members(_, members):
                return {"members": [_member(member) for member in members]}
            case StatusDone():
                return self._status(result)
            case _:
                assert_never(result)

    def _status(self, status: StatusDone) -> Fields:
        raft = status.raft
        return {
            "version": self._version,
            "dbSize": status.db_size,
            "dbSizeInUse": status.db_size_in_use,
            "leader": raft.leader,
            "raftIndex": raft.last_index,
            "raftTerm": raft.term,
            "raftAppliedIndex": status.applied_index,
            "isLearner": raft.is_learner,
            "errors": [] if raft.leader else [FAULTS["NoLeader"].message],
        }


def seconds(milliseconds: int) -> int | float:
    """A TTL in seconds: an integer where it is whole."""
    whole, rest = divmod(milliseconds, 1_000)
    return milliseconds / 1_000 if rest else whole


def _life(life: LeaseLife) -> Fields:
    fields: Fields = {
        "ID": life.id,
        # etcd's whole seconds, rounded down; -1 says that there is no such lease.
        "TTL": life.remaining_ms // 1_000 if life.remaining_ms >= 0 else -1,
        "grantedTTL": seconds(life.granted_ms),
        "remaining_ms": life.remaining_ms,
    }
    if life.keys is not None:
        fields["keys"] = life.keys
    return fields


def _member(member: Member) -> Fields:
    return {
        "ID": member.id,
        "name": member.name,
        "peerURLs": member.peer_urls,
        "clientURLs": member.client_urls,
        "isLearner": member.is_learner,
    }
