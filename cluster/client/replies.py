"""How a client reads the replies of PROTOCOL.md: each into its typed result.

Knows the shape of replies and nothing of how they arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeVar, get_args

from cluster.client.results import (
    Alarm,
    AlarmResult,
    CompactResult,
    DefragmentResult,
    DeleteResult,
    Event,
    HashKvResult,
    Header,
    HistoryResult,
    IncrementResult,
    KeyValue,
    LeaseGrantResult,
    LeaseKeepAliveResult,
    LeaseListResult,
    LeaseRevokeResult,
    LeaseTimeToLiveResult,
    Member,
    MemberAddResult,
    MemberListResult,
    PutResult,
    RangeResult,
    SnapshotPart,
    StatusResult,
    TxnResponse,
    TxnResult,
)
from cluster.errors import ProtocolError

Reply = Mapping[str, Any]
"""A decoded reply map, as msgpack left it: anything may be missing or of a wrong type."""

T = TypeVar("T")

AlarmName = Literal["NONE", "NOSPACE", "CORRUPT", "UNREADABLE", "DATA_LOSS"]
ALARM_NAMES: Final[tuple[str, ...]] = get_args(AlarmName)
"""By the number each has in the protocol."""


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
    """A key-value of a read, whole or (keys_only) without its value."""
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
    """The answer to a range of one key: the key-value, or None when there is none."""
    for raw in reply["kvs"]:
        return key_value(raw)
    return None


def delete_result(reply: Reply) -> DeleteResult:
    """The answer to a delete_range."""
    return _delete(header(reply), reply)


def _delete(head: Header, reply: Reply) -> DeleteResult:
    previous = tuple(map(key_value, reply.get("prev_kvs") or ()))
    return DeleteResult(head, reply["deleted"], previous)


def increment_result(reply: Reply) -> IncrementResult:
    """The answer to an increment."""
    return IncrementResult(header(reply), int(reply["value"]))


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
    match kind:
        case "response_put":
            return _put(inner, reply)
        case "response_range":
            return _range(inner, reply)
        case "response_delete_range":
            return _delete(inner, reply)
        case "response_increment":
            return IncrementResult(inner, int(reply["value"]))
        case "response_txn":
            return _txn(inner, reply)
        case _:
            raise ValueError(f"unknown response {kind!r}")


def history_result(reply: Reply) -> HistoryResult:
    """The answer to a history."""
    events = tuple(map(event, reply["events"]))
    return HistoryResult(header(reply), events, reply["more"], reply["compacted"])


def compact_result(reply: Reply) -> CompactResult:
    """The answer to a compact."""
    return CompactResult(header(reply))


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


def lease_grant_result(reply: Reply) -> LeaseGrantResult:
    """The answer to a lease_grant."""
    return LeaseGrantResult(header(reply), reply["ID"], reply["TTL"])


def lease_revoke_result(reply: Reply) -> LeaseRevokeResult:
    """The answer to a lease_revoke."""
    return LeaseRevokeResult(header(reply))


def lease_keep_alive_result(reply: Reply) -> LeaseKeepAliveResult:
    """The answer to a lease_keep_alive; a TTL of 0 means that there is no such lease."""
    return LeaseKeepAliveResult(header(reply), reply["ID"], reply["TTL"])


def lease_time_to_live_result(reply: Reply) -> LeaseTimeToLiveResult:
    """The answer to a lease_time_to_live."""
    ttl = reply["TTL"]
    keys = reply.get("keys")
    return LeaseTimeToLiveResult(
        header(reply),
        reply["ID"],
        ttl,
        reply["grantedTTL"],
        reply.get("remaining_ms", ttl * 1000 if ttl > 0 else ttl),
        None if keys is None else tuple(keys),
    )


def lease_list_result(reply: Reply) -> LeaseListResult:
    """The answer to a lease_leases."""
    return LeaseListResult(header(reply), tuple(lease["ID"] for lease in reply["leases"]))


def member_list_result(reply: Reply) -> MemberListResult:
    """The answer to a member_list, and to each change of the members."""
    return MemberListResult(header(reply), tuple(map(_member, reply["members"])))


def member_add_result(reply: Reply) -> MemberAddResult:
    """The answer to a member_add and to a member_replace."""
    listed = member_list_result(reply)
    waiting = reply.get("waiting", False)
    return MemberAddResult(listed.header, _member(reply["member"]), listed.members, waiting)


def _member(raw: Reply) -> Member:
    return Member(
        raw["ID"],
        raw["name"],
        tuple(raw["peerURLs"]),
        tuple(raw["clientURLs"]),
        raw.get("isLearner", False),
    )


def status_result(reply: Reply) -> StatusResult:
    """The answer to a status."""
    return StatusResult(
        header(reply),
        reply["version"],
        reply["dbSize"],
        reply["dbSizeInUse"],
        reply["leader"],
        reply["raftIndex"],
        reply["raftTerm"],
        reply["raftAppliedIndex"],
        reply.get("isLearner", False),
        tuple(reply.get("errors") or ()),
    )


def hash_kv_result(reply: Reply) -> HashKvResult:
    """The answer to a hash_kv."""
    return HashKvResult(
        header(reply), reply["hash"], reply["compact_revision"], reply["hash_revision"]
    )


def alarm_result(reply: Reply) -> AlarmResult:
    """The answer to an alarm; the wire has an alarm's name or its number."""
    return AlarmResult(header(reply), tuple(map(_alarm, reply["alarms"])))


def _alarm(raw: Reply) -> Alarm:
    alarm = raw["alarm"]
    return Alarm(raw["memberID"], ALARM_NAMES[alarm] if isinstance(alarm, int) else str(alarm))


def defragment_result(reply: Reply) -> DefragmentResult:
    """The answer to a defragment."""
    return DefragmentResult(header(reply))


def snapshot_part(reply: Reply) -> SnapshotPart:
    """The answer to a snapshot."""
    return SnapshotPart(
        header(reply), reply["name"], reply["blob"], reply["remaining_bytes"], reply["sha256"]
    )
