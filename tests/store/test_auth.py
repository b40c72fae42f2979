"""Users, roles and rights: what is refused and in which words, and that every type has a rule."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.language import auth
from actors.language import commands as c
from actors.language import queries as q
from actors.language.auth import NOBODY, NODE, UNKNOWN, Permission, PermissionType, Principal
from actors.language.intervals import NO_KEY, KeyInterval, KeySet, interval_of
from actors.language.limits import NO_LIMITS, UserLimits
from actors.language.messages import ReadSnapshot
from actors.store.auth import ready
from actors.store.auth.check import fault_of, may_at_once, readable
from actors.store.auth.needs import RULES, Asked, Authority, needs_of
from actors.store.auth.table import AuthTable
from actors.store.storage import AuthChange, AuthRecords

READ, WRITE, READWRITE = PermissionType
KEY = bytes(32)
SECRET = b"s" * 32
KEYS = [bytes(each) for size in (1, 2) for each in product(b"\0ab", repeat=size)]
TYPES = list(get_args(Asked))


def table_of(*commands: auth.AuthCommand) -> AuthTable:
    """A table after commands that are all carried out."""
    table = AuthTable()
    for index, command in enumerate(commands, 1):
        assert table.do(command, index) == "", command
    return table


def secured(*commands: auth.AuthCommand) -> AuthTable:
    """A table with root (id 1) that checks requests, after other commands."""
    return table_of(
        auth.UserAdd("root", b"hash"),
        auth.UserGrantRole("root", "root"),
        auth.AuthEnable(SECRET),
        *commands,
    )


def principal(table: AuthTable, name: str) -> Principal:
    """A user who has just shown who they are."""
    return Principal(table.users[name].id, table.state.revision)


def records(change: AuthChange) -> AuthRecords:
    """What a change of everything leaves."""
    users = tuple(each for each in change.users.values() if each)
    return AuthRecords(change.state, users, tuple(each for each in change.roles.values() if each))


def no_keys(_: int) -> tuple[bytes, ...]:
    return ()


# --- sets of keys -------------------------------------------------------------------------------

ends = st.one_of(st.none(), st.sampled_from(KEYS))
intervals = st.builds(KeyInterval, st.sampled_from(KEYS), ends)


def holds(interval: KeyInterval, key: bytes) -> bool:
    return interval.start <= key and (interval.end is None or key < interval.end)


@given(st.lists(intervals, max_size=5), intervals)
def test_a_set_covers_an_interval_when_it_covers_each_of_its_keys(
    parts: list[KeyInterval], asked: KeyInterval
) -> None:
    # All bounds are KEYS, and the keys from one bound up to the next are all in or all out.
    # Of an empty interval its start counts.
    wanted = {asked.start} | {key for key in KEYS if holds(asked, key)}
    missing = [key for key in wanted if not any(holds(part, key) for part in parts)]
    assert KeySet(parts).covers(asked) == (not missing)


@pytest.mark.parametrize(
    ("given_", "asked", "covered"),
    [
        ((b"a", b"c"), (b"a", b"c"), True),
        ((b"a", b"c"), (b"a", b"d"), False),
        ((b"a", b"c"), (b"b", b""), True),
        ((b"a", b"c"), (b"c", b""), False),
        ((b"a", b""), (b"a", b""), True),
        ((b"a", b""), (b"a", b"\0"), False),
        ((b"a", b"c"), (b"a", b"\0"), False),
        ((b"a", b"\0"), (b"zz", b"\0"), True),
        ((b"\0", b"\0"), (b"\0", b"\0"), True),
        ((b"b", b"\0"), (b"a", b"\0"), False),
    ],
)
def test_an_open_end_needs_an_open_end(
    given_: tuple[bytes, bytes], asked: tuple[bytes, bytes], covered: bool
) -> None:
    assert KeySet([interval_of(*given_)]).covers(interval_of(*asked)) is covered


def test_rights_that_touch_are_one() -> None:
    parts = KeySet([KeyInterval(b"b", b"c"), KeyInterval(b"a", b"b"), KeyInterval(b"x", b"w")])
    assert parts.covers(KeyInterval(b"a", b"c"))
    assert not parts.covers(KeyInterval(b"w", b"x"))


# --- the table ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (auth.AuthEnable(SECRET), "RootUserNotExist"),
        (auth.UserAdd(""), "UserEmpty"),
        (auth.UserAdd("ann"), "UserAlreadyExist"),
        (auth.UserDelete("bob"), "UserNotFound"),
        (auth.UserChangePassword("bob", b"x"), "UserNotFound"),
        (auth.UserGrantRole("bob", "reader"), "UserNotFound"),
        (auth.UserGrantRole("ann", "writer"), "RoleNotFound"),
        (auth.UserRevokeRole("ann", "reader"), "RoleNotGranted"),
        (auth.UserRemoveKey("ann", KEY), "KeyNotOfUser"),
        (auth.RoleAdd(""), "RoleEmpty"),
        (auth.RoleAdd("reader"), "RoleAlreadyExist"),
        (auth.RoleDelete("writer"), "RoleNotFound"),
        (auth.RoleGrantPermission("writer", Permission(READ, b"a")), "RoleNotFound"),
        (auth.RoleRevokePermission("reader", b"a"), "PermissionNotGranted"),
        (auth.RoleSetLimits("writer", UserLimits(1)), "RoleNotFound"),
    ],
)
def test_what_etcd_refuses_is_refused_and_changes_nothing(
    command: auth.AuthCommand, fault: str
) -> None:
    table = table_of(auth.UserAdd("ann"), auth.RoleAdd("reader"))
    table.take_changes()
    before = table.state
    assert table.do(command, 9) == fault
    assert table.state == before
    assert table.take_changes() is None


def test_authentication_needs_a_root_that_can_log_in() -> None:
    table = table_of(auth.UserAdd("root"))
    assert table.do(auth.AuthEnable(SECRET), 2) == "RootRoleNotExist"
    assert table.do(auth.UserGrantRole("root", "root"), 3) == ""
    assert table.do(auth.AuthEnable(SECRET), 4) == "RootCannotLogIn"
    assert table.do(auth.UserAddKey("root", KEY), 5) == ""
    assert table.do(auth.AuthEnable(SECRET), 6) == ""
    assert table.do(auth.UserRemoveKey("root", KEY), 7) == "RootCannotLogIn"
    for command in (
        auth.UserDelete("root"),
        auth.RoleDelete("root"),
        auth.UserRevokeRole("root", "root"),
    ):
        assert table.do(command, 8) == "InvalidAuthMgmt"


def test_each_change_has_a_revision_and_enabling_none_as_in_etcd() -> None:
    table = table_of(auth.UserAdd("root", b"hash"), auth.UserGrantRole("root", "root"))
    assert table.state[:2] == (False, 3)
    assert table.do(auth.UserGrantRole("root", "root"), 3) == ""
    assert table.do(auth.AuthEnable(SECRET), 4) == ""
    assert table.state[:2] == (True, 3)
    assert table.do(auth.AuthDisable(), 5) == ""
    assert table.state[:2] == (False, 4)


def test_a_user_that_is_added_again_is_another() -> None:
    table = table_of(auth.UserAdd("ann"), auth.UserDelete("ann"), auth.UserAdd("ann"))
    assert table.of_id(1) is None
    assert table.users["ann"].id == 3


def test_a_user_gets_no_id_that_another_has_though_indexes_begin_again() -> None:
    before = table_of(auth.UserAdd("ann"), auth.UserAdd("bob"), auth.UserDelete("ann"))
    changes = before.take_changes()
    assert changes is not None
    table = AuthTable(records(changes))
    for index, name in enumerate(("eve", "dan"), start=2):
        assert table.do(auth.UserAdd(name), index) == ""
    assert {user.id: user.name for user in table.users.values()} == {2: "bob", 3: "eve", 4: "dan"}
    # Whoever had an id before showed it before its user was added.
    ann = Principal(2, before.state.revision - 1)
    assert table.do(auth.UserDelete("bob"), 5) == table.do(auth.UserAdd("fay"), 2) == ""
    rights = table.rights_of(2)
    assert rights is not None and ann.shown_at < rights.valid_from


def test_a_key_stands_for_one_user() -> None:
    table = table_of(auth.UserAdd("ann"), auth.UserAdd("bob"), auth.UserAddKey("ann", KEY))
    assert table.do(auth.UserAddKey("bob", KEY), 4) == "KeyInUse"
    assert table.of_key(KEY) == table.users["ann"]
    assert table.do(auth.UserDelete("ann"), 5) == ""
    assert table.of_key(KEY) is None
    assert table.do(auth.UserAddKey("bob", KEY), 6) == ""


def test_a_grant_replaces_the_one_for_the_same_keys_and_stands_in_order() -> None:
    table = table_of(
        auth.RoleAdd("r"),
        auth.RoleGrantPermission("r", Permission(READ, b"b")),
        auth.RoleGrantPermission("r", Permission(READ, b"a", b"c")),
        auth.RoleGrantPermission("r", Permission(WRITE, b"b")),
    )
    assert table.roles["r"].permissions == (
        Permission(READ, b"a", b"c"),
        Permission(WRITE, b"b"),
    )


@pytest.mark.parametrize(
    "command",
    [
        auth.UserChangePassword("ann", b"other"),
        auth.UserRemoveKey("ann", KEY),
        auth.UserDelete("ann"),
    ],
)
def test_what_was_shown_before_another_password_or_the_loss_of_a_key_is_worth_nothing(
    command: auth.AuthCommand,
) -> None:
    table = secured(auth.UserAdd("ann", b"hash"), auth.UserAddKey("ann", KEY))
    ann, asked = principal(table, "ann"), c.LeaseGrant(7, 1_000)
    assert fault_of(table, ann, asked, no_keys) == ""
    assert table.do(command, 20) == ""
    assert fault_of(table, ann, asked, no_keys) == "InvalidAuthToken"
    assert readable(table, ann) is NO_KEY
    if "ann" in table.users:
        assert fault_of(table, principal(table, "ann"), asked, no_keys) == ""


@pytest.mark.parametrize(
    "command",
    [
        auth.UserAddKey("ann", KEY),
        auth.UserGrantRole("ann", "r"),
        auth.RoleGrantPermission("r", Permission(READ, b"k")),
        auth.UserChangePassword("bob", b"other"),
    ],
)
def test_a_change_of_rights_leaves_tokens_as_they_are(command: auth.AuthCommand) -> None:
    table = secured(auth.UserAdd("ann", b"hash"), auth.UserAdd("bob", b"hash"), auth.RoleAdd("r"))
    ann = principal(table, "ann")
    assert table.do(command, 20) == ""
    assert fault_of(table, ann, c.LeaseGrant(7, 1_000), no_keys) == ""


def test_a_user_that_was_added_without_a_password_keeps_having_none() -> None:
    table = table_of(auth.UserAdd("ann"), auth.UserChangePassword("ann", b"hash"))
    assert table.users["ann"].password == b""
    assert table.state.revision == 3


def test_equal_keys_stand_in_the_order_of_granting_and_a_grant_keeps_its_place() -> None:
    table = table_of(
        auth.RoleAdd("r"),
        auth.RoleGrantPermission("r", Permission(READ, b"a", b"z")),
        auth.RoleGrantPermission("r", Permission(READ, b"a", b"c")),
        auth.RoleGrantPermission("r", Permission(WRITE, b"a", b"z")),
    )
    assert table.roles["r"].permissions == (
        Permission(WRITE, b"a", b"z"),
        Permission(READ, b"a", b"c"),
    )


def test_a_role_that_is_deleted_is_nobodys() -> None:
    table = secured(
        auth.UserAdd("ann"),
        auth.RoleAdd("r"),
        auth.RoleGrantPermission("r", Permission(READ, b"a")),
        auth.UserGrantRole("ann", "r"),
    )
    ann = principal(table, "ann")
    assert fault_of(table, ann, c.Range(b"a"), no_keys) == ""
    assert table.do(auth.RoleDelete("r"), 20) == ""
    assert table.users["ann"].roles == ()
    assert fault_of(table, ann, c.Range(b"a"), no_keys) == "PermissionDenied"


# --- answers that are ready ---------------------------------------------------------------------

OF_A_KEY: list[Any] = [
    kind
    for key in (b"a", b"b", b"bb", b"z")
    for kind in (
        c.Put(key, b"v"),
        c.Put(key, b"v", prev_kv=True),
        c.Put(key, b"v", lease=7),
        c.Range(key),
        c.Range(key, b"zz"),
        c.Range(key, b"\0"),
    )
]


def of_lease(_: int) -> tuple[bytes, ...]:
    return (b"z",)


def ready_user(kind: PermissionType, *others: auth.AuthCommand) -> tuple[AuthTable, Principal]:
    """A user with a right to two intervals, about whom the table was asked."""
    table = secured(
        auth.UserAdd("ann", b"hash"),
        auth.RoleAdd("r"),
        auth.RoleGrantPermission("r", Permission(kind, b"a", b"b")),
        auth.RoleGrantPermission("r", Permission(kind, b"bb")),
        auth.UserGrantRole("ann", "r"),
        *others,
    )
    ann = principal(table, "ann")
    assert fault_of(table, ann, c.LeaseGrant(7, 1_000), no_keys) == ""
    return table, ann


@pytest.mark.parametrize("kind", PermissionType)
def test_what_is_allowed_at_once_is_allowed_by_the_whole_check(kind: PermissionType) -> None:
    table, ann = ready_user(kind)
    at_once = [asked for asked in OF_A_KEY if may_at_once(table, ann, asked)]
    assert not [each for each in at_once if fault_of(table, ann, each, of_lease)]
    simple = [
        each
        for each in OF_A_KEY
        if each in (c.Put(each.key, b"v"), c.Range(each.key))
        and not fault_of(table, ann, each, of_lease)
    ]
    assert at_once == simple and len(simple) == (4 if kind is READWRITE else 2)


def test_who_was_not_asked_about_has_no_answer_ready() -> None:
    table, ann = ready_user(READWRITE)
    earlier = Principal(ann.user_id, 1)
    for other in (NOBODY, NODE, UNKNOWN, principal(table, "root"), earlier):
        assert not may_at_once(table, other, c.Put(b"a", b"v"))
    assert fault_of(table, earlier, c.Put(b"a", b"v"), no_keys) == "InvalidAuthToken"
    assert not may_at_once(table, earlier, c.Put(b"a", b"v"))


@pytest.mark.parametrize(
    "command",
    [
        auth.AuthDisable(),
        auth.UserAdd("bob"),
        auth.UserDelete("ann"),
        auth.UserChangePassword("ann", b"other"),
        auth.UserGrantRole("ann", "operator"),
        auth.UserRevokeRole("ann", "r"),
        auth.UserAddKey("ann", bytes([7]) * 32),
        auth.UserRemoveKey("ann", KEY),
        auth.RoleAdd("s"),
        auth.RoleDelete("r"),
        auth.RoleGrantPermission("r", Permission(READ, b"a", b"b")),
        auth.RoleRevokePermission("r", b"a", b"b"),
        auth.RoleSetLimits("r", UserLimits(1, 1, 1, 1)),
    ],
)
def test_no_answer_is_ready_after_a_change_of_users_or_roles(command: auth.AuthCommand) -> None:
    table, ann = ready_user(READWRITE, auth.UserAddKey("ann", KEY))
    assert may_at_once(table, ann, c.Put(b"a", b"v"))
    assert table.do(command, 20) == ""
    assert not may_at_once(table, ann, c.Put(b"a", b"v"))
    assert not may_at_once(table, ann, c.Range(b"a"))


def test_the_answers_that_are_ready_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "READY_MAX", 3)
    table, ann = ready_user(READWRITE)
    for later in range(10):
        shown = Principal(ann.user_id, ann.shown_at + later)
        assert fault_of(table, shown, c.Put(b"a", b"v"), no_keys) == ""
        assert may_at_once(table, shown, c.Put(b"a", b"v"))
        assert len(table.ready.readable) == len(table.ready.writable) <= 3


@pytest.mark.parametrize("end", [b"bb", None])
def test_a_set_has_a_key_whatever_it_was_asked_before(end: bytes | None) -> None:
    parts = [KeyInterval(b"\0", b"\0a"), KeyInterval(b"a", b"ab"), KeyInterval(b"b", end)]
    found = KeySet(parts)
    for before, key in product(KEYS, repeat=2):
        found.has(before)
        assert found.has(key) == any(holds(part, key) for part in parts), (before, key)
        last = KeyInterval(found.last_start, found.last_end)
        assert last == (b"", b"") or found.covers(last), (before, key)


def test_changes_are_taken_once_and_make_the_same_table_again() -> None:
    table = secured(auth.UserAdd("ann"), auth.UserAddKey("ann", KEY), auth.RoleAdd("r"))
    changes = table.take_changes()
    assert changes is not None
    again = AuthTable(records(changes))
    assert (again.state, again.users, again.roles) == (table.state, table.users, table.roles)
    assert again.of_key(KEY) == again.of_id(4) == table.users["ann"]
    assert table.take_changes() is None


# --- the check ----------------------------------------------------------------------------------


def test_limits_stand_beside_permissions_and_neither_changes_the_other() -> None:
    right, limits = Permission(READ, b"a"), UserLimits(1, 2, 3, 4)
    table = table_of(auth.RoleAdd("r"), auth.RoleGrantPermission("r", right))
    assert table.do(auth.RoleSetLimits("r", limits), 3) == ""
    assert table.roles["r"] == auth.Role("r", (right,), limits)
    assert table.do(auth.RoleGrantPermission("r", Permission(READ, b"b")), 4) == ""
    assert table.do(auth.RoleRevokePermission("r", b"a"), 5) == ""
    assert table.roles["r"].limits == limits
    other = table_of(auth.RoleAdd("r"), auth.RoleGrantPermission("r", Permission(READ, b"b")))
    assert table.hash() != other.hash(), "members compare them"
    assert table.do(auth.RoleSetLimits("r", NO_LIMITS), 6) == ""
    assert table.roles["r"].limits == NO_LIMITS


def test_the_gateway_hears_of_the_limits_that_have_changed() -> None:
    one, two = UserLimits(1), UserLimits(2)
    roles = auth.RoleAdd("a"), auth.RoleAdd("b"), auth.RoleAdd("c"), auth.RoleAdd("d")
    table = table_of(*roles, auth.RoleSetLimits("b", two), auth.RoleSetLimits("a", one))
    first = table.news()
    assert first is not None and first.is_whole
    assert first.limits == (("a", one), ("b", two))
    for command in (auth.RoleSetLimits("c", one), auth.RoleDelete("b"), auth.UserAdd("ann")):
        assert table.do(command, 9) == ""
    second = table.news()
    assert second is not None and not second.is_whole
    assert second.limits == (("b", NO_LIMITS), ("c", one))
    assert table.news() is None


def test_a_user_has_limits_while_requests_are_checked_and_root_has_none() -> None:
    table = secured(auth.UserAdd("ann"), auth.RoleAdd("r"), auth.RoleAdd("s"))
    for command in (
        auth.RoleSetLimits("r", UserLimits(5, leases=1)),
        auth.RoleSetLimits("s", UserLimits(3, watches=7)),
        auth.UserGrantRole("ann", "r"),
        auth.UserGrantRole("ann", "s"),
        auth.UserGrantRole("root", "r"),
    ):
        assert table.do(command, 20) == ""
    ann, root = principal(table, "ann").user_id, principal(table, "root").user_id
    assert table.limits_of(ann) == UserLimits(5, watches=7, leases=1)
    assert table.limits_of(root) == table.limits_of(0) == table.limits_of(99) == NO_LIMITS
    assert table.do(auth.AuthDisable(), 21) == ""
    assert table.limits_of(ann) == NO_LIMITS


def test_every_type_has_a_rule() -> None:
    assert set(RULES) == set(TYPES)


def sample(kind: type[Any]) -> Any:
    """A value of a kind, made of what its fields' types suggest."""
    made = {
        "key": b"k",
        "name": "ann's",
        "permission": Permission(READ, b"k"),
        "range": c.Range(b"k"),
        "success": (c.Put(b"k", b"v"),),
        "keys": True,
        "asked": auth.UserAdd("eve"),
        "range_end": b"",
    }
    return kind(
        *[made.get(field, 1) for field in kind._fields if field not in kind._field_defaults]
    )


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: str(kind.__name__))
def test_without_rights_nothing_is_allowed_but_what_its_rule_says(kind: type[Any]) -> None:
    table = secured(auth.UserAdd("ann"))
    asked = kind((), (c.Put(b"k", b"v"),), ()) if kind is c.Txn else sample(kind)
    needs = needs_of(asked)
    nobody = fault_of(table, NOBODY, asked, lambda _: (b"k",))
    ann = fault_of(table, principal(table, "ann"), asked, lambda _: (b"k",))
    if needs.authority is Authority.ANYBODY:
        assert (nobody, ann) == ("", "")
        return
    assert nobody == "UserEmpty"
    free = needs.authority is Authority.USER and not any(needs[1:])
    assert ann == ("" if free else "PermissionDenied")
    assert fault_of(table, NODE, asked, no_keys) == ""
    root = fault_of(table, principal(table, "root"), asked, no_keys)
    assert root == ("PermissionDenied" if needs.authority is Authority.NODE else "")


def test_while_authentication_is_off_everybody_may_do_everything() -> None:
    table = table_of(auth.UserAdd("ann"))
    assert fault_of(table, NOBODY, c.Put(b"k", b"v"), no_keys) == ""


def of_ann(*permissions: Permission, roles: tuple[str, ...] = ()) -> tuple[AuthTable, Principal]:
    grants = [auth.RoleGrantPermission("r", each) for each in permissions]
    given_roles = [auth.UserGrantRole("ann", each) for each in ("r", *roles)]
    table = secured(auth.UserAdd("ann"), auth.RoleAdd("r"), *grants, *given_roles)
    return table, principal(table, "ann")


PUT, GET = c.Put(b"k", b"v"), c.Range(b"k")


@pytest.mark.parametrize(
    ("kinds", "asked", "allowed"),
    [
        ((READ,), GET, True),
        ((WRITE,), GET, False),
        ((READWRITE,), GET, True),
        ((READ,), PUT, False),
        ((WRITE,), PUT, True),
        ((WRITE,), PUT._replace(prev_kv=True), False),
        ((READWRITE,), PUT._replace(prev_kv=True), True),
        ((WRITE,), c.DeleteRange(b"k"), True),
        ((WRITE,), c.DeleteRange(b"k", prev_kv=True), False),
        ((WRITE,), c.DeleteRange(b"k", b"\0"), False),
        ((WRITE,), c.Increment(b"k", 1), False),
        ((READWRITE,), c.Increment(b"k", 1), True),
        ((WRITE,), q.History(b"k"), False),
        ((READ,), q.Page(GET), True),
        ((READ,), c.Txn((), (), (GET,)), True),
        ((READ,), c.Txn((), (GET,), (PUT,)), False),
        ((READ,), c.Txn((), (GET,), (c.Txn((), (), (PUT,)),)), False),
        (
            (WRITE,),
            c.Txn(
                (c.Compare(c.CompareTarget.VERSION, c.CompareResult.EQUAL, b"k", b"", 0),),
                (PUT,),
                (),
            ),
            False,
        ),
        ((WRITE,), c.LeaseRevoke(7), True),
        ((READ,), c.LeaseRevoke(7), False),
        ((READ,), c.LeaseKeepAlive(7), False),
        ((READ,), q.LeaseTimeToLive(7, keys=True), True),
        ((WRITE,), q.LeaseTimeToLive(7, keys=True), False),
        ((WRITE,), q.LeaseTimeToLive(7), True),
        ((READ,), auth.UserGet("ann"), True),
        ((READ,), auth.UserGet("root"), False),
        ((READ,), auth.RoleGet("r"), True),
        ((READ,), auth.RoleGet("s"), False),
    ],
)
def test_what_a_right_to_one_key_allows(
    kinds: tuple[PermissionType, ...], asked: Any, allowed: bool
) -> None:
    table, ann = of_ann(*(Permission(kind, b"k") for kind in kinds))
    found = fault_of(table, ann, asked, lambda lease: (b"k",) if lease == 7 else ())
    assert found == ("" if allowed else "PermissionDenied")


def test_a_put_with_a_lease_needs_a_right_to_all_that_hangs_on_it() -> None:
    table, ann = of_ann(Permission(WRITE, b"k"))
    put = PUT._replace(lease=7)
    assert fault_of(table, ann, put, lambda _: (b"k",)) == ""
    assert fault_of(table, ann, put, lambda _: (b"k", b"other")) == "PermissionDenied"


@pytest.mark.parametrize(
    ("role", "asked"),
    [
        ("operator", c.Compact(5)),
        ("operator", c.AlarmDeactivate(0, c.AlarmType.NONE)),
        ("backup", ReadSnapshot(1, "", 0)),
        ("backup", q.WholeHash()),
        ("monitor", q.HashKV()),
        ("operator", q.HashKV()),
    ],
)
def test_an_admin_role_allows_what_is_its_own_and_no_key(role: str, asked: Any) -> None:
    table, ann = of_ann(roles=(role,))
    assert fault_of(table, ann, asked, no_keys) == ""
    assert fault_of(table, ann, GET, no_keys) == "PermissionDenied"
    assert fault_of(table, ann, auth.UserAdd("eve"), no_keys) == "PermissionDenied"


def test_any_user_may_see_alarms_but_only_an_operator_clears_them() -> None:
    table, ann = of_ann()
    assert fault_of(table, ann, q.AlarmList(), no_keys) == ""
    assert fault_of(table, ann, c.AlarmDeactivate(0, c.AlarmType.NONE), no_keys)
    assert fault_of(table, auth.NOBODY, q.AlarmList(), no_keys) == "UserEmpty"
    assert fault_of(table, ann, q.HashKV(), no_keys) == "PermissionDenied"
