"""Requests: from bytes to commands and queries, or to an error that names the fault."""

from __future__ import annotations

from typing import Any

import pytest

from actors.gateway.decoded import (
    ChoreRequest,
    CommandRequest,
    ConsensusRequest,
    QueryRequest,
    Refusal,
    Request,
    SessionRequest,
)
from actors.gateway.identities import Identities
from actors.gateway.newcomers import LeaseGrants, Newcomers
from actors.gateway.requests import RequestDecoder
from actors.language.auth import NOBODY
from actors.language.codec import decode_command
from actors.language.commands import (
    AlarmActivate,
    AlarmDeactivate,
    AlarmType,
    Command,
    Compact,
    DeleteRange,
    Increment,
    LeaseGrant,
    LeaseKeepAlive,
    LeaseRevoke,
    Put,
    Range,
    Sequence,
    SortOrder,
    SortTarget,
)
from actors.language.members import (
    AddMember,
    MemberChange,
    Peer,
    PromoteMember,
    RemoveMember,
    ReplaceMember,
    Transfer,
    UpdateMember,
)
from actors.language.messages import Defragment, ReadSnapshot, WatchCancel, WatchOpen, WatchProgress
from actors.language.queries import (
    AlarmList,
    HashKV,
    History,
    LeaseLeases,
    LeaseTimeToLive,
    MemberList,
    Page,
    Query,
    Status,
    WholeHash,
)
from cluster.faults import FAULTS
from cluster.wire import pack

DEALER = (b"\0\0\0\0\1",)
REQ = (b"\0\0\0\0\1", b"")
REQUEST_BYTES_MAX = 1_500
TTL_MS_MIN = 450
BAD_URLS = "etcdserver: given member URLs are invalid"
NOW_SECONDS = 1_795_167_240


def decoder() -> RequestDecoder:
    grants = LeaseGrants(member_id=0x1234_5678_9ABC_694D, wall_ms=1_000, ttl_ms_min=TTL_MS_MIN)
    return RequestDecoder(
        grants, Newcomers("", lambda: NOW_SECONDS), REQUEST_BYTES_MAX, bytes, Identities(lambda: 0)
    )


def decode(**request: Any) -> Request:
    return decoder().decode(DEALER, pack(request))


def command(**request: Any) -> Command:
    decoded = decode(**request)
    assert isinstance(decoded, CommandRequest), decoded
    made, sequence, _ = decode_command(decoded.command)
    assert sequence is None
    return made


def query(**request: Any) -> Query:
    decoded = decode(**request)
    assert isinstance(decoded, QueryRequest), decoded
    return decoded.query


def order(**request: Any) -> MemberChange | Transfer:
    decoded = decode(**request)
    assert isinstance(decoded, ConsensusRequest), decoded
    return decoded.order


def message(**request: Any) -> str:
    decoded = decode(**request)
    assert isinstance(decoded, Refusal), decoded
    return decoded.fault.message


def test_a_field_that_is_left_out_has_its_zero_value() -> None:
    assert command(op="put", key=b"k") == Put(b"k", b"")
    assert query(op="range", key=b"k") == Range(b"k")
    assert command(op="delete_range", key=b"k") == DeleteRange(b"k")
    assert command(op="lease_revoke") == LeaseRevoke(0)
    assert command(op="compact") == Compact(0, False)


def test_a_range_of_which_nobody_needs_the_count_is_a_page() -> None:
    asked = query(op="range", key="a", range_end="b", limit=3, no_count=True)
    assert asked == Page(Range(b"a", b"b", limit=3))
    assert query(op="range", key="a", no_count=False) == Range(b"a")


def test_every_field_arrives() -> None:
    assert command(
        op="put", key="k", value="é", lease=7, prev_kv=True, ignore_value=False, ignore_lease=False
    ) == Put(b"k", "é".encode(), 7, True, False, False)
    assert query(
        op="range", key="a", range_end="b", limit=3, revision=9, keys_only=True, count_only=True
    ) == Range(b"a", b"b", 3, 9, True, True)
    assert command(op="delete_range", key="a", range_end="b", prev_kv=True) == DeleteRange(
        b"a", b"b", True
    )
    assert query(op="lease_time_to_live", ID=7, keys=True) == LeaseTimeToLive(7, True)
    assert command(op="lease_keep_alive", ID=7) == LeaseKeepAlive(7)
    assert command(op="compact", revision=9, physical=True) == Compact(9, True)
    assert command(op="compact", revision=-1) == Compact(-1)


def test_every_field_of_a_range_arrives() -> None:
    assert query(
        op="range",
        key="a",
        sort_order="DESCEND",
        sort_target=3,
        min_mod_revision=4,
        max_mod_revision=5,
        min_create_revision=6,
        max_create_revision=7,
    ) == Range(b"a", b"", 0, 0, False, False, SortOrder.DESCEND, SortTarget.MOD, 4, 5, 6, 7)


@pytest.mark.parametrize("field", ["sort_order", "sort_target"])
@pytest.mark.parametrize("value", [-1, 9, "UP", ""])
def test_a_sort_option_that_etcd_does_not_know_has_its_words(field: str, value: Any) -> None:
    assert message(op="range", key="k", **{field: value}) == "etcdserver: invalid sort option"
    assert message(op="range", **{field: value}) == "etcdserver: key is not provided"


def test_increments_history_and_hashes_are_what_they_say() -> None:
    assert command(op="increment", key="k") == Increment(b"k", 1)
    assert command(op="increment", key="k", delta=-5) == Increment(b"k", -5)
    assert query(op="history", key="k", limit=3, revision=9) == History(b"k", 3, 9)
    assert query(op="history", key="k", limit=-3, revision=-9) == History(b"k")
    assert decode(op="hash_kv", revision=9) == QueryRequest(b"", HashKV(9), serializable=True)


def test_an_alarm_is_asked_for_raised_or_cleared() -> None:
    assert decode(op="alarm") == QueryRequest(b"", AlarmList(AlarmType.NONE), False)
    assert decode(op="alarm", alarm=2, memberID=5) == QueryRequest(
        b"", AlarmList(AlarmType.CORRUPT), False
    )
    assert decode(op="alarm", action="GET", seq=1, session=1, ack=1) == decode(op="alarm")
    raised = command(op="alarm", action="ACTIVATE", memberID=5, alarm="NOSPACE")
    assert raised == AlarmActivate(5, AlarmType.NOSPACE)
    assert command(op="alarm", action=2) == AlarmDeactivate(0, AlarmType.NONE)
    text = message(op="alarm", alarm="FIRE")
    kinds = "NONE (0), NOSPACE (1), CORRUPT (2), UNREADABLE (3), DATA_LOSS (4)"
    assert text.endswith(f"must be one of {kinds}")


def test_work_on_files_is_the_stores() -> None:
    assert decode(op="defragment", id=1) == ChoreRequest(pack(1), Defragment(0))
    assert decode(op="snapshot", name="n", offset=9) == ChoreRequest(b"", ReadSnapshot(0, "n", 9))


def test_a_put_with_a_ttl_has_a_lease_of_its_own() -> None:
    first = (0x694D << 48) + (1_000 << 8) + 1
    assert command(op="put", key="k", value="v", TTL=1.5) == Put(
        b"k", b"v", lease=first, ttl_ms=1_500
    )
    assert command(op="put", key="k", TTL=0.01) == Put(b"k", b"", lease=first, ttl_ms=TTL_MS_MIN)
    assert command(op="put", key="k", TTL=0, lease=5) == Put(b"k", b"", lease=5)
    assert message(op="put", key="k", TTL=1e10) == "etcdserver: too large lease TTL"


@pytest.mark.parametrize("other", [{"lease": 5}, {"ignore_lease": True}, {"TTL": -1}])
def test_a_ttl_and_a_lease_do_not_go_together(other: dict[str, Any]) -> None:
    assert message(op="put", key="k", **{"TTL": 5, **other}).startswith("leasehold: ")


def test_what_does_not_fit_is_refused_and_what_takes_no_room_is_not() -> None:
    full = decoder()
    full.room = 300

    def answer(**request: Any) -> Request:
        return full.decode(DEALER, pack(request))

    assert isinstance(answer(op="put", key="k", value=b"v" * 43), CommandRequest)
    assert answer(op="put", key="k", value=b"v" * 44) == Refusal(b"", FAULTS["NoSpace"])
    full.room = 0
    put = {"request_put": {"key": "k"}}
    assert answer(op="txn", success=[put], failure=[]) == Refusal(b"", FAULTS["NoSpace"])
    assert isinstance(answer(op="delete_range", key="k"), CommandRequest)
    assert isinstance(answer(op="range", key="k"), QueryRequest)


def test_operations_without_fields_are_what_they_say() -> None:
    assert query(op="lease_leases") == LeaseLeases()
    assert query(op="status") == Status()
    assert decode(op="hash") == QueryRequest(b"", WholeHash(), serializable=True)
    assert decode(op="session_open", id=4) == SessionRequest(pack(4))


def test_a_read_is_linearizable_unless_it_says_otherwise() -> None:
    assert decode(op="range", key="k") == QueryRequest(b"", Range(b"k"), False)
    assert decode(op="range", key="k", serializable=True) == QueryRequest(b"", Range(b"k"), True)


def test_the_members_are_those_that_the_asked_node_knows_unless_it_is_asked_for_more() -> None:
    assert decode(op="member_list") == QueryRequest(b"", MemberList(), True)
    assert decode(op="member_list", linearizable=False) == QueryRequest(b"", MemberList(), True)
    assert decode(op="member_list", linearizable=True) == QueryRequest(b"", MemberList(), False)


def test_negative_limits_and_revisions_are_none_as_in_etcd() -> None:
    assert query(op="range", key="k", limit=-1, revision=-5) == Range(b"k")


def test_a_watch_keeps_its_connection_and_request_id() -> None:
    assert decode(
        op="watch_create",
        id=4,
        key="a",
        range_end="b",
        start_revision=5,
        prev_kv=True,
        filters=["NOPUT"],
        watch_id=2,
        progress_notify=True,
        fragment=True,
        keys_only=True,
    ) == WatchOpen(DEALER, pack(4), 2, b"a", b"b", 5, True, True, False, True, True, True)
    assert decode(op="watch_cancel", watch_id=2) == WatchCancel(DEALER, b"", 2)
    assert decode(op="watch_progress", id="p") == WatchProgress(DEALER, pack("p"))


def test_filters_are_names_or_numbers_and_no_key_is_the_first_one() -> None:
    decoded = decode(op="watch_create", filters=[1, "NODELETE"], range_end=b"\0")
    assert decoded == WatchOpen(DEALER, b"", 0, b"\0", b"\0", 0, False, False, True)


@pytest.mark.parametrize(
    ("request_map", "text"),
    [
        ({"op": "foo"}, 'unknown operation "foo"'),
        ({}, 'the request has no "op"'),
        ({"op": b"put"}, 'field "op" must be text, not bytes'),
        ({"op": "put", "key": b"k", "foo": 1}, 'unknown field "foo" in put'),
        ({"op": "put", "key": 5}, 'field "key" of put must be bytes or text, not int'),
        ({"op": "put", "key": None}, 'field "key" of put must be bytes or text, not nil'),
        (
            {"op": "put", "key": "k", "lease": True},
            'field "lease" of put must be an integer, not bool',
        ),
        (
            {"op": "put", "key": "k", "prev_kv": 1},
            'field "prev_kv" of put must be a boolean, not int',
        ),
        (
            {"op": "put", "key": "k", "lease": 2**63},
            'field "lease" of put does not fit in a signed integer of 64 bits',
        ),
        (
            {"op": "watch_create", "filters": ["NO"]},
            'field "filters" of watch_create may hold only NOPUT (0) and NODELETE (1)',
        ),
        (
            {"op": "watch_create", "filters": [True]},
            'field "filters" of watch_create may hold only NOPUT (0) and NODELETE (1)',
        ),
        (
            {"op": "watch_cancel", "watch_id": -1},
            'field "watch_id" of watch_cancel must not be negative',
        ),
        (
            {"op": "lease_grant", "TTL": float("nan")},
            'field "TTL" of lease_grant must be finite',
        ),
        (
            {"op": "lease_grant", "TTL": "5"},
            'field "TTL" of lease_grant must be a number of seconds, not text',
        ),
        ({"op": "range", "key": "k", "session": 1}, 'unknown field "session" in range'),
        ({"op": "session_open", "seq": 1}, 'unknown field "seq" in session_open'),
        ({"op": "x" * 99}, f'unknown operation "{"x" * 40}..."'),
    ],
)
def test_a_fault_is_named(request_map: dict[str, Any], text: str) -> None:
    decoded = decode(**request_map)
    assert isinstance(decoded, Refusal)
    assert decoded.fault == (3, f"leasehold: {text}")


@pytest.mark.parametrize(
    ("request_map", "text"),
    [
        ({"op": "put"}, "etcdserver: key is not provided"),
        ({"op": "put", "key": ""}, "etcdserver: key is not provided"),
        ({"op": "range"}, "etcdserver: key is not provided"),
        ({"op": "delete_range", "range_end": "z"}, "etcdserver: key is not provided"),
        (
            {"op": "put", "key": "k", "value": "v", "ignore_value": True},
            "etcdserver: value is provided",
        ),
        (
            {"op": "put", "key": "k", "lease": 1, "ignore_lease": True},
            "etcdserver: lease is provided",
        ),
        ({"op": "lease_grant", "TTL": 9_000_000_001}, "etcdserver: too large lease TTL"),
        ({"op": "lease_grant", "TTL": 1e300}, "etcdserver: too large lease TTL"),
        ({"op": "member_add"}, BAD_URLS),
        ({"op": "member_add", "peerURLs": []}, BAD_URLS),
        ({"op": "member_add", "peerURLs": ["127.0.0.1:2380"]}, BAD_URLS),
        ({"op": "member_add", "peerURLs": ["https://h:1"]}, BAD_URLS),
        ({"op": "member_add", "peerURLs": ["tcp://h:1/x"]}, BAD_URLS),
        ({"op": "member_add", "peerURLs": ["tcp://*:1"]}, BAD_URLS),
        ({"op": "member_add", "peerURLs": ["tcp://_foo:1"]}, BAD_URLS),
        ({"op": "member_update", "ID": 1, "peerURLs": ["tcp://h\n:1"]}, BAD_URLS),
        ({"op": "member_add", "peerURLs": [f"tcp://h:{port}" for port in range(1, 10)]}, BAD_URLS),
        ({"op": "member_replace", "ID": 1}, BAD_URLS),
        ({"op": "member_update", "ID": 1, "peerURLs": ["tcp://h"]}, BAD_URLS),
    ],
)
def test_etcds_errors_have_etcds_words(request_map: dict[str, Any], text: str) -> None:
    assert message(**request_map) == text


@pytest.mark.parametrize("payload", [b"", b"\xc1", pack([1]), pack(7), pack({"op": "put"}) + b"x"])
def test_what_is_no_map_is_refused_without_an_id(payload: bytes) -> None:
    refusal = decoder().decode(DEALER, payload)
    assert isinstance(refusal, Refusal)
    assert refusal.request_id == b""
    assert refusal.fault.message.startswith("leasehold: ")


def test_an_array_that_is_no_batch_is_told_what_a_batch_is() -> None:
    refusal = decoder().decode(DEALER, pack([{"op": "status"}]))
    assert isinstance(refusal, Refusal)
    assert "a list of 1 to 64 requests, each packed" in refusal.fault.message


@pytest.mark.parametrize("request_id", [0, -5, 2**64 - 1, "text", b"\xff" * 64, None, "é" * 32])
def test_an_id_is_echoed_as_it_was(request_id: Any) -> None:
    assert decode(op="foo", id=request_id) == Refusal(
        pack(request_id),
        decode(op="foo").fault,  # type: ignore[union-attr]
    )


@pytest.mark.parametrize("request_id", [b"x" * 65, "é" * 33, 1.5, True, [1]])
def test_an_id_of_another_type_or_size_is_an_error_without_one(request_id: Any) -> None:
    refusal = decode(op="put", key="k", id=request_id)
    assert isinstance(refusal, Refusal)
    assert refusal.request_id == b""
    assert 'field "id"' in refusal.fault.message


def test_a_request_that_is_too_large_is_refused_with_its_id() -> None:
    refusal = decode(op="put", key="k", value=b"v" * REQUEST_BYTES_MAX, id=9)
    assert isinstance(refusal, Refusal)
    assert refusal.request_id == pack(9)
    assert refusal.fault.message == "etcdserver: request is too large"
    garbage = decoder().decode(DEALER, b"\xff" * (REQUEST_BYTES_MAX + 1))
    assert garbage == Refusal(b"", refusal.fault)


def test_a_sequence_goes_with_the_command() -> None:
    decoded = decode(op="put", key="k", session=5, seq=2, ack=1)
    assert isinstance(decoded, CommandRequest)
    assert decode_command(decoded.command) == (Put(b"k", b""), Sequence(5, 2, 1), NOBODY)
    assert command(op="put", key="k", session=0, seq=0) == Put(b"k", b"")


@pytest.mark.parametrize(
    ("sequence", "field"),
    [
        ({"seq": 1}, "session"),
        ({"session": -1, "seq": 1}, "session"),
        ({"session": 1}, "seq"),
        ({"session": 1, "seq": -1}, "seq"),
        ({"session": 1, "seq": 2, "ack": 3}, "ack"),
        ({"session": 1, "seq": 2, "ack": -1}, "ack"),
        ({"session": 1, "seq": 2, "ack": True}, "ack"),
        ({"session": "1", "seq": 2}, "session"),
        ({"session": 2**63, "seq": 2}, "session"),
    ],
)
def test_a_broken_sequence_is_named(sequence: dict[str, Any], field: str) -> None:
    assert f'field "{field}" of put' in message(op="put", key="k", **sequence)


@pytest.mark.parametrize(
    ("ttl", "ttl_ms"),
    [(10, 10_000), (0.75, 750), (1.5, 1_500), (0, 450), (-3, 450), (-1e308, 450), (0.1, 450)],
)
def test_a_ttl_is_in_seconds_and_at_least_the_minimum(ttl: float, ttl_ms: int) -> None:
    assert command(op="lease_grant", TTL=ttl, ID=5) == LeaseGrant(5, ttl_ms)


def test_lease_ids_follow_etcds_formula_and_do_not_repeat() -> None:
    one = decoder()
    ids = []
    for _ in range(300):
        decoded = one.decode(DEALER, pack({"op": "lease_grant", "TTL": 5}))
        assert isinstance(decoded, CommandRequest)
        grant, *_ = decode_command(decoded.command)
        assert isinstance(grant, LeaseGrant)
        ids.append(grant.id)
    assert ids[0] == (0x694D << 48) + (1_000 << 8) + 1
    assert ids == list(range(ids[0], ids[0] + 300))


@pytest.mark.parametrize("operation", ["watch_create", "watch_cancel", "watch_progress"])
def test_watching_needs_a_dealer_that_zeromq_named(operation: str) -> None:
    payload = pack({"op": operation, "id": 1})
    from_req = decoder().decode(REQ, payload)
    assert isinstance(from_req, Refusal)
    assert from_req.fault.message == f"leasehold: {operation} needs a DEALER socket, not a REQ"
    named = decoder().decode((b"my-own-name",), payload)
    assert isinstance(named, Refusal)
    assert "ZMQ_ROUTING_ID" in named.fault.message


def test_a_named_socket_and_a_req_may_do_everything_else() -> None:
    payload = pack({"op": "put", "key": "k"})
    assert isinstance(decoder().decode(REQ, payload), CommandRequest)
    assert isinstance(decoder().decode((b"my-own-name",), payload), CommandRequest)


# --- members and leaders ---


def test_a_new_members_id_is_the_one_that_etcd_gave_it() -> None:
    # As `etcdctl member add` of etcd 3.5.1 printed it at that second.
    added = order(op="member_add", peerURLs=["http://127.0.0.1:48380"], isLearner=True)
    assert added == AddMember(Peer(0xB786CFDF628D490F, ("http://127.0.0.1:48380",)), True)


def test_a_clusters_token_and_the_time_make_ids_differ() -> None:
    def made(token: str, seconds: int) -> int:
        return Newcomers(token, lambda: seconds).add({"peerURLs": ("tcp://h:1",)}).peer.id

    assert len({made("", 1), made("", 2), made("t", 1), made("t", 2)}) == 4


def test_two_members_added_in_one_second_have_different_ids() -> None:
    newcomers = Newcomers("t", lambda: NOW_SECONDS)
    first, second = (newcomers.add({"peerURLs": ("tcp://h:1",)}).peer for _ in range(2))
    assert first.peer_urls == second.peer_urls
    assert first.id != second.id


def test_peer_urls_are_kept_sorted_with_their_schemes_and_each_place_once() -> None:
    urls = ["tcp://h:2", "http://h:1", "http://h:2"]
    assert order(op="member_update", ID=5, peerURLs=urls) == UpdateMember(
        5, ("http://h:1", "tcp://h:2")
    )
    replaced = order(op="member_replace", ID=5, peerURLs=urls)
    assert isinstance(replaced, ReplaceMember)
    assert (replaced.id, replaced.peer.peer_urls) == (5, ("http://h:1", "tcp://h:2"))


def test_members_are_named_by_unsigned_ids() -> None:
    last = 2**64 - 1
    assert order(op="member_remove", ID=last) == RemoveMember(last)
    assert order(op="member_promote", ID=last) == PromoteMember(last)
    assert order(op="move_leader", targetID=last) == Transfer(last)
    text = 'field "ID" of member_remove must be a member\'s id: an unsigned integer of 64 bits'
    assert message(op="member_remove", ID=-1) == f"leasehold: {text}"
    assert "must be a list of URLs, not text" in message(op="member_add", peerURLs="tcp://h:1")
    assert "may hold only text" in message(op="member_add", peerURLs=[b"tcp://h:1"])


def test_a_change_of_members_is_part_of_no_session() -> None:
    text = 'leasehold: unknown field "session" in member_remove'
    assert message(op="member_remove", ID=1, session=5, seq=1, ack=1) == text


@pytest.mark.parametrize(
    "request_map",
    [
        {"op": "put", "key": "k"},
        {"op": "range", "key": "k"},
        {"op": "lease_leases"},
        {"op": "watch_create", "key": "k"},
        {"op": "session_open"},
        {"op": "member_remove", "ID": 1},
        {"op": "move_leader", "targetID": 1},
        {"op": "hash_kv"},
        {"op": "hash"},
        {"op": "defragment"},
        {"op": "txn", "success": [{"request_range": {"key": "k", "serializable": True}}]},
    ],
)
def test_a_learner_refuses_what_it_cannot_say_for_itself(request_map: dict[str, Any]) -> None:
    refusal = decoder().decode_as_learner(DEALER, pack({**request_map, "id": 4}))
    assert refusal == Refusal(pack(4), FAULTS["NotSupportedForLearner"])


@pytest.mark.parametrize(
    "request_map",
    [
        {"op": "status"},
        {"op": "member_list"},
        {"op": "member_list", "linearizable": True},
        {"op": "range", "key": "k", "serializable": True},
    ],
)
def test_a_learner_answers_for_itself(request_map: dict[str, Any]) -> None:
    payload = pack(request_map)
    answer = decoder().decode_as_learner(DEALER, payload)
    assert isinstance(answer, QueryRequest)
    assert answer == decoder().decode(DEALER, payload)


def test_a_learner_hands_out_snapshots() -> None:
    answer = decoder().decode_as_learner(DEALER, pack({"op": "snapshot"}))
    assert answer == ChoreRequest(b"", ReadSnapshot(0, "", 0))


def test_a_learner_names_the_fault_of_a_request_first() -> None:
    refusal = decoder().decode_as_learner(DEALER, pack({"op": "put"}))
    assert refusal == Refusal(b"", FAULTS["EmptyKey"])
