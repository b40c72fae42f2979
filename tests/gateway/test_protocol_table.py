"""The gateway and the protocol's table: the operations, fields, words and replies are the same."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Any

import pytest

from actors.gateway.decoded import Refusal
from actors.gateway.fields import FIELD_KINDS, AlarmAction
from actors.gateway.identities import Identities
from actors.gateway.keys import RESPONSES, Puts, in_txn
from actors.gateway.newcomers import LeaseGrants, Newcomers
from actors.gateway.operations import (
    CommandOperation,
    EitherOperation,
    LocalOperation,
    LoginOperation,
    PasswordOperation,
    QueryOperation,
    WatchOperation,
    operations,
)
from actors.gateway.replies import ReplyEncoder
from actors.gateway.requests import RequestDecoder
from actors.language.auth import Permission, PermissionType
from actors.language.commands import (
    AlarmMember,
    AlarmType,
    Change,
    CompareResult,
    CompareTarget,
    Event,
    KeyValue,
    Member,
    SortOrder,
    SortTarget,
)
from actors.language.limits import UserLimits
from actors.language.metrics import (
    GatewayMetrics,
    Histogram,
    PeerMetrics,
    RaftMetrics,
    StoreMetrics,
    Survey,
    WatchMetrics,
)
from actors.language.queries import RaftStatus
from actors.language.results import (
    Alarms,
    Authenticated,
    AuthStatusDone,
    DeleteDone,
    Done,
    HashDone,
    HistoryDone,
    Incremented,
    LeaseGranted,
    LeaseKeptAlive,
    LeaseLife,
    LeaseRevoked,
    Leases,
    Members,
    PutDone,
    RangeDone,
    Result,
    RoleDone,
    RoleNames,
    SessionOpened,
    SnapshotBlob,
    StatusDone,
    TxnDone,
    UserDone,
    UserNames,
    WholeHashDone,
)
from actors.watch.audience import View
from actors.watch.frames import EventBatch, WatchFrames
from cluster.client.replies import of, read
from cluster.client.result_table import RESULTS as CLIENT_RESULTS
from cluster.faults import FAULTS
from cluster.protocol import (
    ALARM_ACTION,
    ALARM_NAME,
    COMPARE_RESULT,
    COMPARE_TARGET,
    OPS,
    SORT_ORDER,
    SORT_TARGET,
)
from cluster.schema import Choice, Effect, ProtocolOp
from cluster.users_table import PERMISSION_TYPE
from cluster.wire import pack, unpack
from tests.protocol_table import reply_faults, sample

GRANTS = LeaseGrants(1, 1, 1)
NEWCOMERS = Newcomers("", lambda: 1)
TABLE = operations(GRANTS, NEWCOMERS, bytes)
DEALER = (b"\0one",)

KV = KeyValue(b"k", 2, 3, 2, b"v", 7)
EVENTS = (
    Event(Change.PUT, KV, None),
    Event(Change.LEASE_EXPIRED, KeyValue(b"k", 0, 4, 0, b"", 0), KV),
)
MEMBERS = (Member(2**64 - 1, "n", ("http://a:1",), ("http://b:2",), True),)
KEYED = (MEMBERS[0]._replace(keys=("a1" * 32, "b2" * 32)),)
TXN = TxnDone(8, True, (PutDone(8, KV), RangeDone(8, (KV,), True, 2), DeleteDone(8, 1, (KV,))))

USERS = ("auth_", "user_", "role_")

RESULTS: dict[str, tuple[Result, ...]] = {
    "range": (RangeDone(8, (KV,), False, 1),),
    "put": (PutDone(8), PutDone(8, KV), PutDone(8, KV, 7, 1_500)),
    "delete_range": (DeleteDone(8, 0), DeleteDone(8, 1, (KV,))),
    "txn": (TXN._replace(responses=(*TXN.responses, Incremented(8, 1), TXN)),),
    "increment": (Incremented(8, 0),),
    "history": (HistoryDone(8, EVENTS, False, True),),
    "compact": (Done(8),),
    "lease_grant": (LeaseGranted(8, 7, 500),),
    "lease_revoke": (LeaseRevoked(8),),
    "lease_keep_alive": (LeaseKeptAlive(8, 7, 0),),
    "lease_time_to_live": (LeaseLife(8, 7, -1, 0), LeaseLife(8, 7, 1, 1_500, (b"k",))),
    "lease_leases": (Leases(8, (7,)),),
    "member_list": (Members(8, MEMBERS),),
    "member_add": (Members(8, MEMBERS), Members(8, MEMBERS, waiting=True)),
    "member_remove": (Members(8, MEMBERS),),
    "member_update": (Members(8, MEMBERS),),
    "member_promote": (Members(8, MEMBERS),),
    "member_replace": (Members(8, MEMBERS),),
    "member_rotate_key": (Members(8, KEYED),),
    "hash": (WholeHashDone(8, 1),),
    "hash_kv": (HashDone(8, 1, -1, 7),),
    "status": (StatusDone(8, 1, 2, 3, RaftStatus(1, 2, 3, False)),),
    "alarm": (Alarms(8, (AlarmMember(7, AlarmType.DATA_LOSS),)),),
    "defragment": (Done(8),),
    "snapshot": (SnapshotBlob(8, "s", b"part", 5, b"h" * 32),),
    "session_open": (SessionOpened(8, 7),),
    **dict.fromkeys(
        [name for name, op in OPS.items() if name[:5] in USERS and op.effect is Effect.WRITE],
        (Done(8),),
    ),
    "authenticate": (Authenticated(8, "token", 300),),
    "auth_status": (AuthStatusDone(8, True, 5),),
    "user_get": (UserDone(8, ("r",), (bytes(32),)),),
    "user_list": (UserNames(8, ("ann",)),),
    "role_get": (
        RoleDone(8, (Permission(PermissionType.WRITE, b"k", b"l"),)),
        RoleDone(8, (), UserLimits(1, 2, 3, 4)),
    ),
    "role_list": (RoleNames(8, ("r",)),),
}
"""Each result that an operation may have; `move_leader`, `metrics` and watches have none."""


def decoded(request: dict[str, Any]) -> Any:
    """What the gateway makes of a request."""
    return RequestDecoder(GRANTS, NEWCOMERS, 10_000, bytes, Identities(lambda: 0)).decode(
        DEALER, pack(request)
    )


def requests_of(op: ProtocolOp) -> Iterator[dict[str, Any]]:
    """Requests that have each field of the operation, one at a time, beside a key."""
    key = {"key": b"k"} if any(field.name == "key" for field in op.request) else {}
    for field in (*op.request, *op.alone):
        yield {"op": op.name, **key, field.name: sample(field)}


def test_the_gateway_has_the_operations_of_the_table_and_no_other() -> None:
    assert TABLE.keys() == OPS.keys()


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.name)
def test_an_operation_goes_through_the_log_if_the_table_says_that_it_writes(op: ProtocolOp) -> None:
    kind = {
        Effect.WRITE: CommandOperation | PasswordOperation,
        Effect.READ: QueryOperation | LocalOperation | LoginOperation,
        Effect.EITHER: EitherOperation,
        Effect.WATCH: WatchOperation,
    }.get(op.effect)
    assert kind is None or isinstance(TABLE[op.name], kind)
    takes_session = isinstance(
        TABLE[op.name], CommandOperation | EitherOperation | PasswordOperation
    )
    assert takes_session == (op.effect in (Effect.WRITE, Effect.EITHER))


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.name)
def test_each_field_of_the_table_is_taken(op: ProtocolOp) -> None:
    for request in requests_of(op):
        if isinstance(answer := decoded(request), Refusal):
            # Alone, a few fields ask for what etcd refuses in its own words.
            assert answer.fault in FAULTS.values(), (request, answer.fault)


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.in_txn], ids=lambda op: op.name)
def test_each_field_of_the_table_is_taken_in_a_transaction(op: ProtocolOp) -> None:
    for fields in requests_of(op._replace(alone=())):
        del fields["op"]
        answer = decoded({"op": "txn", "success": [{f"request_{op.name}": fields}]})
        assert not isinstance(answer, Refusal) or answer.fault in FAULTS.values(), answer.fault


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.alone], ids=lambda op: op.name)
def test_a_transaction_refuses_the_fields_of_an_operation_that_stands_alone(op: ProtocolOp) -> None:
    for field in op.alone:
        request = {f"request_{op.name}": {"key": b"k", field.name: sample(field)}}
        answer = decoded({"op": "txn", "success": [request]})
        assert answer.fault.message.endswith(f'"{field.name}" in request_{op.name}')


def test_a_transaction_holds_what_the_table_says_and_answers_it_by_name() -> None:
    named = {op.name for op in OPS.values() if op.in_txn}
    assert {"txn", *in_txn(Puts(GRANTS))} == named
    assert set(RESPONSES.values()) == {f"response_{name}" for name in named}


@pytest.mark.parametrize(
    ("choice", "enum"),
    [
        (SORT_ORDER, SortOrder),
        (SORT_TARGET, SortTarget),
        (COMPARE_TARGET, CompareTarget),
        (COMPARE_RESULT, CompareResult),
        (ALARM_ACTION, AlarmAction),
        (ALARM_NAME, AlarmType),
        (PERMISSION_TYPE, PermissionType),
    ],
)
def test_words_and_their_numbers_are_those_of_the_table(
    choice: Choice, enum: type[IntEnum]
) -> None:
    assert [(each.value, each.name) for each in enum] == list(enumerate(choice.words))
    convert = FIELD_KINDS[choice].convert
    assert [convert(word) for word in choice.words] == list(enum)


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.name)
def test_a_reply_has_the_fields_of_the_table(op: ProtocolOp) -> None:
    encoder = ReplyEncoder(1, 2, "1.2.3", 1_000, quota_bytes=4)
    added = 2**64 - 1 if any(field.name == "member" for field in op.reply) else 0
    for result in RESULTS.get(op.name, ()):
        frame = encoder.encode(b"", result, added)
        assert isinstance(frame, bytes)
        reply = unpack(frame)
        assert reply.pop("header")["revision"] == 8
        assert reply_faults(op, reply) == []
    watched = op.effect is Effect.WATCH
    assert op.name in RESULTS or watched or op.name in ("move_leader", "metrics")


READ_ALIKE = {
    "member_remove": "member_list",
    "member_update": "member_list",
    "member_promote": "member_list",
    "member_rotate_key": "member_list",
    "member_replace": "member_add",
}
"""The changes of members whose answer the client reads as that of another operation."""


@pytest.mark.parametrize("name", sorted(RESULTS.keys() & CLIENT_RESULTS.keys() | READ_ALIKE.keys()))
def test_a_client_reads_every_reply(name: str) -> None:
    encoder = ReplyEncoder(1, 2, "1.2.3", 1_000)
    added = 2**64 - 1 if name in ("member_add", "member_replace") else 0
    for result in RESULTS[name]:
        frame = encoder.encode(b"", result, added)
        assert isinstance(frame, bytes)
        reply = unpack(frame)
        found = read(of(CLIENT_RESULTS[READ_ALIKE.get(name, name)]), reply)
        assert found.header.revision == 8
        for field in OPS[name].reply:
            if hasattr(found, field.attribute) and field.name in reply:
                value = getattr(found, field.attribute)
                plain = type(reply[field.name]) in (bool, int, float, bytes, str)
                assert not plain or value == reply[field.name]


def test_the_replies_of_a_watch_have_the_fields_of_the_table() -> None:
    frames = WatchFrames(1, 2)
    view = View(prev_kv=True, no_put=False, no_delete=False, fragment=True)
    streamed = [
        first + frames.pack(5) + rest
        for first, rest in EventBatch(frames, 4, EVENTS, fragment_bytes_max=1).replies((0, 1), view)
    ]
    for packed in [
        frames.created(b"", 4, 5),
        frames.refused(b"", 4, "why"),
        frames.canceled(b"", 4, 5, "why", 3),
        frames.bookmark(b"", 4),
        frames.progress(5, 4),
        *streamed,
    ]:
        reply = unpack(packed)
        del reply["header"]
        assert reply_faults(OPS["watch_create"], reply) == []
    assert len(streamed) == 2


def test_a_reply_that_is_not_as_the_table_says_is_found() -> None:
    op = OPS["delete_range"]
    assert reply_faults(op, {}) == ["delete_range: deleted is missing"]
    assert reply_faults(op, {"deleted": "1"}) == ["delete_range: deleted is '1'"]
    assert reply_faults(op, {"deleted": 1, "gone": 1}) == ["delete_range: gone is not in the table"]
    lacking = {"deleted": 1, "prev_kvs": ({**KV._asdict(), "lease": None},)}
    assert reply_faults(op, lacking) == ["delete_range: lease is None"]


def test_the_reply_to_metrics_has_the_fields_of_the_table() -> None:
    times = Histogram().read()
    raft = RaftMetrics(
        True, True, False, 5, 1, 0, 2, 0, times, 0, 0, (PeerMetrics(7, True, times),)
    )
    alarms = (AlarmMember(7, AlarmType.NOSPACE),)
    store = StoreMetrics._make([9, times, *range(10), -1, *range(6), alarms])
    survey = Survey(3, 8, raft, store, WatchMetrics(1, 2, 3, 4))
    own = GatewayMetrics._make(range(11))
    reply = unpack(ReplyEncoder(1, 2, "1.2.3", 1_000).encode_survey(pack(5), survey, own))
    assert (reply.pop("id"), reply.pop("header")["revision"]) == (5, 8)
    assert reply_faults(OPS["metrics"], reply) == []
    assert (reply["turns"], reply["watchers"], reply["compact_revision"]) == (0, 1, -1)
