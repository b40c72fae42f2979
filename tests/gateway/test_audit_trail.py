"""What a gateway, unstarted, writes into its audit log: which requests, of whom, no secrets."""

from __future__ import annotations

from typing import Any

import pytest

from actors.gateway.audit_table import LEVELS, RECORDED, Level
from actors.gateway.newcomers import LeaseGrants, Newcomers
from actors.gateway.operations import operations
from actors.gateway.passwords import hash_password
from actors.gateway.trail import OPS_MAX, TEXT_CHARS_MAX
from actors.language.audit import WatchAnswered
from actors.language.auth import AuthNews, AuthState, User
from actors.language.messages import (
    ChangeMembers,
    Computed,
    Moved,
    MoveLeader,
    Replies,
    Room,
    WatchOpen,
)
from actors.language.results import (
    Alarms,
    Done,
    Failure,
    Members,
    PutDone,
    RangeDone,
    TxnDone,
    UserSecretDone,
)
from cluster.protocol import COMPARE, OPS
from cluster.users_table import LIMITS, PERMISSION, USER_OPTIONS
from tests.gateway.bench import ONE, SETTINGS, TIMEOUT_MS, TWO, Bench
from tests.gateway.records import Records

SECRET = b"s" * 32
FRONT = b"f" * 32
KEY = bytes(range(32))
DENIED = "etcdserver: permission denied"

NOT_RECORDED = {
    # values, and what tells of them; secrets
    *("value", "password", "delta", "compare", "success", "failure"),
    *("target", "result", "version", "create_revision", "mod_revision", "count"),
    # how an answer is made
    *("limit", "sort_order", "sort_target", "keys", "no_count", "ignore_value", "ignore_lease"),
    *("min_mod_revision", "max_mod_revision", "min_create_revision", "max_create_revision"),
    *("progress_notify", "filters", "fragment", "without_leader", "offset"),
}


class Audited(Bench):
    """A gateway with an audit log of a level, and a user ann by a token, a key and a certificate.

    `enabled`: requests are checked.
    """

    def __init__(self, level: Level = Level.AUTH, *, enabled: bool = True) -> None:
        self.log = Records()
        settings = SETTINGS._replace(audit_level=level, front_secret=FRONT, request_bytes_max=9_000)
        super().__init__(settings, audit_log=self.log)
        ann = User(7, "ann", hash_password("right", b"salt", 1), keys=(KEY,))
        self.actor.receive(AuthNews(AuthState(enabled, 5, SECRET), ((7, ann),), is_whole=True))

    def answer(self, result: Any) -> None:
        """What was asked of Raft or the store last has this result."""
        told = [*self.probes.raft.take(), *self.probes.store.take()]
        for message in told:
            for each in getattr(message, "proposals", getattr(message, "questions", ())):
                self.actor.receive(Replies(((each.ticket, result),)))

    def fail_chore(self) -> None:
        """The work on files that was asked for last fails."""
        (work,) = self.probes.store.take()
        self.actor.receive(Replies(((work.ticket, Failure("CopyFailed")),)))

    def log_in(self, password: str = "right") -> Any:
        """What the gateway answers to a login of ann."""
        self.ask(op="authenticate", name="ann", password=password)
        self.answer(UserSecretDone(8, 7, hash_password("right", b"salt", 1), 5, SECRET))
        while (message := self.actor.mailbox.pop()) is not None:
            assert message == Computed()
            self.actor.receive(message)
        (reply,) = self.door.replies(ONE)
        return reply

    def only(self) -> dict[str, Any]:
        """The one record since the last call."""
        (record,) = self.log.take()
        return record


# --- the table --------------------------------------------------------------------------------


def test_each_operation_has_a_level_and_each_field_is_recorded_or_is_not_on_purpose() -> None:
    assert set(LEVELS) == set(OPS)
    assert set(LEVELS) == set(operations(LeaseGrants(1, 1, 1), Newcomers("", lambda: 1), bytes))
    fields = {field.name for op in OPS.values() for field in (*op.request, *op.alone)}
    for within in (COMPARE, LIMITS, PERMISSION, USER_OPTIONS):
        fields |= {field.name for field in within.fields}
    assert fields == RECORDED | NOT_RECORDED
    assert not RECORDED & NOT_RECORDED


# --- who, from where, what --------------------------------------------------------------------


def test_a_login_is_recorded_whether_it_succeeds_or_not_and_never_its_password() -> None:
    bench = Audited()
    assert "token" in bench.log_in()
    common = {"op": "authenticate", "user": None, "from": "address of one"}
    assert bench.only() == {
        **common,
        "request": {"name": "ann"},
        "revision": 8,
        "outcome": "ok",
    }
    bench.log_in("not the secret")
    failed = bench.only()
    assert failed["outcome"] == "etcdserver: authentication failed, invalid user ID or password"
    assert "not the secret" not in str(failed)


def test_a_change_is_recorded_with_the_user_and_what_has_shown_who_that_is() -> None:
    bench = Audited()
    token = bench.log_in()["token"]
    bench.log.take()
    for more in ({"token": token}, {"common_name": "ann", "front": FRONT}, {}):
        if not more:
            bench.door.keys[ONE[0]] = KEY
        perm = {"key": b"a", "range_end": b"b"}
        bench.ask(op="role_grant_permission", name="r", perm=perm, **more)
        bench.answer(Done(9))
    by_token, by_certificate, by_key = bench.log.take()
    assert by_token == {
        "op": "role_grant_permission",
        "user": "ann",
        "by": "token",
        "from": "address of one",
        "request": {"name": "r", "perm": {"key": "a", "range_end": "b"}},
        "revision": 9,
        "outcome": "ok",
    }
    assert (by_certificate["by"], by_certificate["common_name"]) == ("certificate", "ann")
    assert (by_key["by"], by_key["client_key"], by_key["user"]) == ("key", KEY.hex(), "ann")


def test_somebody_unknown_is_nobody_with_the_name_or_the_key_that_was_shown() -> None:
    bench = Audited()
    bench.door.keys[TWO[0]] = bytes(32)
    bench.ask(TWO, op="put", key="k", value="v")
    bench.answer(Failure("UserEmpty"))
    bench.ask(op="put", key="k", common_name="bob", front=FRONT)
    bench.answer(Failure("UserEmpty"))
    bench.ask(op="put", key="k", token="made up")
    bench.answer(Failure("InvalidAuthToken"))
    key, name, token = bench.log.take()
    assert (key["user"], key.get("by"), key["client_key"]) == (None, None, "00" * 32)
    assert (name["user"], name.get("by"), name["common_name"]) == (None, None, "bob")
    assert (token["user"], token["by"]) == (None, "token")
    assert token["outcome"] == "etcdserver: invalid auth token"


def test_the_front_tells_the_address_of_its_client_and_nobody_else_does() -> None:
    bench = Audited(Level.WRITES, enabled=False)
    bench.ask(op="put", key="k", client="10.0.0.9:1234", front=FRONT)
    bench.answer(PutDone(8))
    assert bench.only()["from"] == "10.0.0.9:1234"
    assert len(bench.door.replies(ONE)) == 1
    for secret in (b"another", "no bytes", None):
        bench.ask(op="put", key="k", client="10.0.0.9:1234", front=secret)
        assert bench.only()["from"] == "address of one"
        (error,) = bench.errors()
        assert error["message"] == 'leasehold: unknown field "client" in put'


def test_a_name_that_only_the_front_may_give_is_recorded_as_claimed_by_nobody() -> None:
    bench = Audited()
    bench.ask(op="range", key="k", common_name="root", front=b"guessed")
    record = bench.only()
    assert "common_name" not in record and record["user"] is None
    assert record["outcome"] == 'leasehold: field "common_name" is for the node\'s own front'


def test_a_token_names_its_user_also_when_it_was_shown_just_before() -> None:
    bench = Audited(Level.WRITES)
    token = bench.log_in()["token"]
    bench.log.take()
    for _ in range(2):
        bench.ask(op="put", key="k", token=token)
        bench.answer(PutDone(8))
        assert bench.only()["user"] == "ann"


# --- levels -----------------------------------------------------------------------------------


def test_data_is_recorded_at_the_higher_levels_only() -> None:
    for level, ops in ((Level.AUTH, []), (Level.WRITES, ["put"]), (Level.ALL, ["put", "range"])):
        bench = Audited(level, enabled=False)
        bench.ask(op="put", key="k", value="v")
        bench.answer(PutDone(8))
        bench.ask(op="range", key="k")
        bench.answer(RangeDone(8, (), False, 0))
        assert [record["op"] for record in bench.log.take()] == ops


@pytest.mark.parametrize("name", ["PermissionDenied", "InvalidAuthToken", "UserEmpty"])
@pytest.mark.parametrize("op", ["put", "range"])
def test_a_request_that_is_refused_to_its_asker_is_recorded_at_each_level(
    name: Any, op: str
) -> None:
    bench = Audited()
    value: dict[str, Any] = {"value": "hidden"} if op == "put" else {}
    bench.ask(op=op, key="secret/a", **value)
    bench.answer(Failure(name))
    record = bench.only()
    assert (record["op"], record["request"]) == (op, {"key": "secret/a"})
    assert record["outcome"].startswith("etcdserver: ") and "revision" not in record
    bench.ask(op=op, key="secret/a")
    bench.answer(Failure("LeaseNotFound"))
    assert bench.log.take() == []


def test_a_watch_is_recorded_when_it_begins_or_is_refused() -> None:
    for level, recorded in ((Level.AUTH, [DENIED]), (Level.ALL, ["ok", DENIED, "other"])):
        bench = Audited(level)
        bench.ask(op="watch_create", key="a", range_end="b")
        (opened,) = bench.probes.store.take()
        assert isinstance(opened, WatchOpen) and opened.note is not None
        for reason in ("", DENIED, "other"):
            bench.actor.receive(WatchAnswered(opened.note, 8, reason))
        records = bench.log.take()
        assert [record["outcome"] for record in records] == recorded
        assert records[0]["request"] == {"key": "a", "range_end": "b"}
        bench.ask(op="watch_cancel", watch_id=0)
        bench.ask(op="watch_progress")
        assert bench.log.take() == []


def test_what_only_reads_counts_as_a_read() -> None:
    bench = Audited(Level.WRITES, enabled=False)
    bench.ask(op="txn", success=[{"request_range": {"key": b"a"}}])
    bench.answer(TxnDone(8, True, ()))
    bench.ask(op="alarm")
    bench.answer(Alarms(8, ()))
    bench.ask(op="snapshot", name="kept", offset=10)
    bench.fail_chore()
    assert bench.log.take() == []
    bench.ask(op="alarm", action="DEACTIVATE", alarm="NOSPACE")
    bench.answer(Alarms(9, ()))
    assert bench.only()["request"] == {"action": "DEACTIVATE", "alarm": "NOSPACE"}
    bench.ask(op="snapshot")
    bench.fail_chore()
    assert bench.only()["op"] == "snapshot"


# --- what becomes of them ---------------------------------------------------------------------


def test_a_change_of_members_is_recorded_with_its_outcome() -> None:
    bench = Audited(enabled=False)
    bench.ask(op="member_remove", ID=5)
    bench.allow()
    (asked,) = bench.probes.raft.take()
    assert isinstance(asked, ChangeMembers)
    bench.actor.receive(Replies(((asked.ticket, Members(8, ())),)))
    record = bench.only()
    assert (record["request"], record["revision"], record["outcome"]) == ({"ID": 5}, 8, "ok")
    bench.ask(op="move_leader", targetID=6)
    bench.allow()
    (move,) = bench.probes.raft.take()
    assert isinstance(move, MoveLeader)
    bench.actor.receive(Moved(move.ticket))
    assert (record := bench.only())["outcome"] == "ok" and "revision" not in record
    bench.ask(op="member_add", peerURLs=["no url"])
    assert bench.only()["outcome"] == "etcdserver: given member URLs are invalid"


def test_a_change_whose_outcome_is_not_known_says_so() -> None:
    bench = Audited(enabled=False)
    bench.ask(op="user_delete", name="ann")
    bench.wait(TIMEOUT_MS)
    record = bench.only()
    assert (record["outcome"], record["unknown"]) == ("etcdserver: request timed out", True)


def test_a_reset_of_authentication_is_recorded_when_the_node_starts() -> None:
    records = Records()
    Bench(SETTINGS._replace(resets_auth=True), audit_log=records)
    (record,) = records.take()
    assert (record["op"], record["by"]) == ("auth_disable", "leasehold auth reset")


def test_what_a_gateway_refuses_by_itself_is_recorded() -> None:
    bench = Audited(Level.WRITES, enabled=False)
    bench.actor.receive(Room(0))
    bench.ask(op="put", key="k", value="v")
    assert bench.only()["outcome"] == "etcdserver: mvcc: database space exceeded"
    bench.actor.receive(Room(None))
    bench.actor._tickets._free = 0
    for op in ("put", "defragment", "member_remove"):
        bench.ask(op=op, key="k") if op == "put" else bench.ask(op=op)
        assert bench.only()["outcome"] == "etcdserver: too many requests"


def test_bytes_that_are_no_request_are_not_recorded_as_the_request_before() -> None:
    bench = Audited(Level.ALL, enabled=False)
    bench.ask(op="put", key="k")
    bench.ask(op="nothing")
    bench.ask(op="put", key="k", value=bytes(9_000))
    bench.ask(op="put", id=[])
    assert bench.log.take() == []


# --- what of a request ------------------------------------------------------------------------


def test_of_a_transaction_the_keys_are_recorded_and_no_value() -> None:
    bench = Audited(Level.WRITES, enabled=False)
    nested = {"success": [{"request_delete_range": {"key": b"d", "range_end": b"e"}}]}
    bench.ask(
        op="txn",
        compare=[{"key": b"c", "target": "VALUE", "value": b"hidden"}],
        success=[{"request_put": {"key": b"p", "value": b"hidden"}}, {"request_txn": nested}],
        failure=[{"request_range": {"key": b"r"}}],
    )
    bench.answer(TxnDone(8, True, ()))
    record = bench.only()
    assert record["request"]["ops"] == [
        {"op": "put", "key": "p"},
        {"op": "range", "key": "r"},
        {"op": "delete_range", "key": "d", "range_end": "e"},
        {"op": "compare", "key": "c"},
    ]
    assert "hidden" not in str(record)


def test_more_operations_than_a_line_has_room_for_are_counted() -> None:
    bench = Audited(Level.WRITES, enabled=False)
    many = {"failure": [{"request_range": {"key": b"r"}} for _ in range(OPS_MAX // 2)]}
    bench.ask(op="txn", success=[{"request_txn": many}] * 2, compare=[{"key": b"c"}])
    bench.answer(TxnDone(8, True, ()))
    request = bench.only()["request"]
    assert (len(request["ops"]), request["more"]) == (OPS_MAX, 1)


def test_keys_that_are_no_text_are_in_hexadecimal_and_long_ones_are_cut() -> None:
    bench = Audited(Level.WRITES, enabled=False)
    for key in (b"\xff\x00", b"k" * 900, b'quote"\n'):
        bench.ask(op="put", key=key)
        bench.answer(PutDone(8))
    binary, long, quoted = [record["request"] for record in bench.log.take()]
    assert binary == {"key_hex": "ff00"}
    assert long == {"key": "k" * 900}
    assert quoted == {"key": 'quote"\n'}
    bench.ask(op="user_add_key", name="ann", key=KEY)
    bench.answer(Done(8))
    assert bench.only()["request"] == {"name": "ann", "key": KEY.hex()}
    bench.ask(op="role_add", name="x" * (TEXT_CHARS_MAX - 100) + "y" * 50)
    bench.answer(Failure("NameTooLong"))
    assert bench.only()["outcome"] == "leasehold: a name has at most 256 bytes"
