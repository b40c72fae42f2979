"""Rights at their own place: entries, reads, sessions and watches around changes of users."""

from __future__ import annotations

from typing import Any

import pytest

from actors.language import auth
from actors.language.auth import (
    NOBODY,
    UNKNOWN,
    AuthNews,
    Permission,
    PermissionType,
    Principal,
    WatchRights,
)
from actors.language.codec import encode_command
from actors.language.commands import (
    AlarmActivate,
    AlarmType,
    Command,
    LeaseGrant,
    Put,
    Range,
    Sequence,
    SessionOpen,
)
from actors.language.entries import Entry
from actors.language.intervals import NO_KEY, interval_of
from actors.language.messages import (
    Apply,
    ConfirmedRead,
    Defragment,
    Events,
    LocalRead,
    Question,
    ReadSnapshot,
    Replies,
    WatchBegin,
)
from actors.language.queries import Page, Permit
from actors.language.results import Done, Failure, PutDone, RangeDone, SessionOpened
from actors.store import long_queries
from actors.store.long_queries import QUERY_PAUSE_MS, RUNNING_MAX
from actors.store.machine import Machine
from actors.store.steps import ITEMS_PER_STEP
from tests.store.driver import FOUNDERS, TERM, commit, everything
from tests.store.shell import HERE, Node, watch
from tests.twins import MemoryBackend

READ, WRITE, READWRITE = PermissionType
ROOT, ANN = Principal(1, 100), Principal(2, 100)
DENIED = Failure("PermissionDenied")

SECURED: tuple[Command, ...] = (
    auth.UserAdd("root", b"hash"),
    auth.UserAdd("ann", b"hash"),
    auth.UserGrantRole("root", "root"),
    auth.RoleAdd("r"),
    auth.RoleGrantPermission("r", Permission(READWRITE, b"a", b"c")),
    auth.UserGrantRole("ann", "r"),
    auth.AuthEnable(b"s" * 32),
)
LOSS = auth.RoleRevokePermission("r", b"a", b"c")
"""Ann (user 2) has a right to [a, c), and loses it."""


def machine(backend: MemoryBackend | None = None) -> Machine:
    """A machine whose entries are checked."""
    made = Machine(backend or MemoryBackend(), FOUNDERS)
    for command in SECURED:
        assert do(made, command, ROOT) == Done(1)
    return made


def do(
    made: Machine, command: Command, principal: Principal, sequence: Sequence | None = None
) -> Any:
    """Apply the next entry."""
    return made.apply(made.applied_index + 1, TERM, 1_000, command, sequence, principal)


# --- entries --------------------------------------------------------------------------------------


def test_an_entry_is_decided_by_the_rights_at_its_place() -> None:
    made = machine()
    assert do(made, Put(b"a", b"1"), ANN) == PutDone(2)
    assert do(made, LOSS, ROOT) == Done(2)
    assert do(made, Put(b"a", b"2"), ANN) == DENIED
    assert do(made, auth.RoleGrantPermission("r", Permission(WRITE, b"a")), ROOT) == Done(2)
    assert do(made, Put(b"a", b"3"), ANN) == PutDone(3)
    assert do(made, Put(b"a", b"3"), NOBODY) == Failure("UserEmpty")
    assert do(made, Put(b"a", b"3"), UNKNOWN) == Failure("InvalidAuthToken")
    assert do(made, auth.AuthDisable(), ROOT) == Done(3)
    assert do(made, Put(b"a", b"4"), UNKNOWN) == PutDone(4)


def test_a_right_is_asked_before_an_alarm_and_goes_on_while_one_stands() -> None:
    made = machine()
    do(made, AlarmActivate(1, AlarmType.NOSPACE), ROOT)
    assert do(made, Put(b"x", b"1"), ANN) == DENIED
    assert do(made, Put(b"a", b"1"), ANN) == Failure("NoSpace")
    assert do(made, Put(b"a", b"1"), NOBODY) == Failure("UserEmpty")


def test_users_and_rights_survive_a_restart() -> None:
    backend = MemoryBackend()
    made = machine(backend)
    commit(made, backend)
    again = Machine(backend, FOUNDERS)
    assert everything(again) == everything(made)
    assert do(again, Put(b"a", b"1"), ANN) == PutDone(2)
    assert do(again, Put(b"x", b"1"), ANN) == DENIED


# --- sessions -------------------------------------------------------------------------------------


def test_a_session_is_that_of_the_user_who_opened_it() -> None:
    backend = MemoryBackend()
    made = machine(backend)
    assert do(made, SessionOpen(5), ANN) == SessionOpened(1, 5)
    assert do(made, Put(b"a", b"1"), ANN, Sequence(5, 1, 1)) == PutDone(2)
    commit(made, backend)
    for one in (made, Machine(backend, FOUNDERS)):
        before = everything(one)["sessions"]
        retry = Put(b"a", b"1"), ROOT, Sequence(5, 1, 1)
        assert do(one, *retry) == Failure("SessionNotFound")
        assert do(one, Put(b"a", b"9"), NOBODY, Sequence(5, 2, 2)) == Failure("UserEmpty")
        assert everything(one)["sessions"] == before, "nobody else moves it"
        assert do(one, Put(b"a", b"1"), ANN, Sequence(5, 1, 1)) == PutDone(2), "a retry"
        assert one.revision == 2


def test_a_session_of_before_authentication_is_that_of_the_first_user_of_it() -> None:
    made = Machine(MemoryBackend(), FOUNDERS)
    do(made, SessionOpen(5), UNKNOWN)
    for command in SECURED:
        do(made, command, NOBODY)
    ann, root = Principal(3, 100), Principal(2, 100)
    assert do(made, Put(b"a", b"1"), ann, Sequence(5, 1, 1)) == PutDone(2)
    assert do(made, Put(b"a", b"1"), root, Sequence(5, 2, 1)) == Failure("SessionNotFound")


def test_a_session_forgets_a_worthless_token_but_not_a_missing_right() -> None:
    made = machine()
    do(made, SessionOpen(5), ANN)
    do(made, auth.UserChangePassword("ann", b"other"), ROOT)
    stale, fresh = Principal(2, 1), Principal(2, made.auth.state.revision)
    first = Put(b"a", b"1"), Sequence(5, 1, 1)
    assert do(made, first[0], stale, first[1]) == Failure("InvalidAuthToken")
    assert do(made, first[0], fresh, first[1]) == PutDone(2)
    second = Put(b"x", b"1"), Sequence(5, 2, 1)
    assert do(made, second[0], fresh, second[1]) == DENIED
    do(made, auth.RoleGrantPermission("r", Permission(WRITE, b"x")), ROOT)
    assert do(made, second[0], fresh, second[1]) == DENIED, "its client was told so"


# --- the store's actor ----------------------------------------------------------------------------


class Checked(Node):
    """A store whose entries say who asks."""

    def entries(self, *asked: tuple[Command, Principal]) -> Apply:
        """The next entries of the log, with tickets 1, 2, 3."""
        made: list[Entry] = []
        for ticket, (command, principal) in enumerate(asked, 1):
            entry = self.entry(command, HERE, ticket)
            made.append(entry._replace(command=encode_command(command, None, principal)))
        return Apply(tuple(made))


class Secured(Checked):
    """A store whose requests are checked."""

    def __init__(self) -> None:
        super().__init__(MemoryBackend())
        self.apply(*SECURED)
        self.settle()


@pytest.mark.parametrize("kind", [ConfirmedRead, LocalRead])
def test_a_read_is_decided_by_the_rights_of_the_state_that_it_sees(kind: Any) -> None:
    node = Secured()
    questions = (
        Question(1, Range(b"a"), ANN),
        Question(2, Page(Range(b"a", b"\0")), ANN),
        Question(3, Range(b"a"), NOBODY),
        Question(4, Permit(auth.UserAdd("eve")), ANN),
        Question(5, Permit(auth.UserAdd("eve")), ROOT),
    )
    message = kind(questions, 0) if kind is ConfirmedRead else kind(questions)
    ((_, replies),) = node.hear(message)
    answers = dict(replies.replies)
    assert isinstance(answers[1], RangeDone)
    assert [answers[each] for each in (2, 3, 4)] == [DENIED, Failure("UserEmpty"), DENIED]
    assert answers[5] == Done(1)
    node.hear(node.entries((LOSS, ROOT)))
    node.settle()
    ((_, replies),) = node.hear(message)
    assert dict(replies.replies)[1] == DENIED


def test_a_long_read_that_waited_is_checked_again_when_it_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(long_queries, "SLICE_STEPS_MAX", 1)
    node = Secured()
    puts = [Put(b"b%04d" % number, b"1") for number in range(3 * ITEMS_PER_STEP)]
    node.hear(node.entries(*((put, ROOT) for put in puts)))
    node.commit()
    asked = range(10_001, 10_001 + RUNNING_MAX + 1)
    every = Question(0, Range(b"a", b"c"), ANN)
    node.hear(LocalRead(tuple(every._replace(ticket=ticket) for ticket in asked)))
    told = [*node.hear(node.entries((LOSS, ROOT))), *node.settle()]
    answers: dict[int, Any] = {}
    while len(answers) < len(asked):
        node.now_ms += QUERY_PAUSE_MS
        told += node.tick()
        for _, message in told:
            if isinstance(message, Replies):
                answers.update(each for each in message.replies if each[0] in asked)
    assert [ticket for ticket in asked if answers[ticket] == DENIED] == [asked[-1]]


@pytest.mark.parametrize("work", [Defragment(7, ANN), ReadSnapshot(7, "", 0, ANN)])
def test_work_on_files_is_not_done_without_a_right(work: Any) -> None:
    node = Secured()
    assert node.hear(work) == [("gateway", Replies(((7, DENIED),)))]
    assert node.hear(work._replace(principal=ROOT)) != [("gateway", Replies(((7, DENIED),)))]


def test_a_watch_begins_only_with_a_right_to_all_of_it() -> None:
    node = Secured()

    def asked(key: bytes, range_end: bytes, principal: Principal) -> str:
        ((_, begin),) = node.hear(watch(key, range_end)._replace(principal=principal))
        assert isinstance(begin, WatchBegin)
        return begin.fault

    assert asked(b"a", b"c", ANN) == asked(b"b", b"", ANN) == ""
    assert asked(b"a", b"d", ANN) == asked(b"a", b"\0", ANN) == "PermissionDenied"
    assert asked(b"a", b"", NOBODY) == "UserEmpty"
    assert asked(b"a", b"", UNKNOWN) == "InvalidAuthToken"
    assert asked(b"\0", b"\0", ROOT) == ""


def test_what_came_before_a_loss_is_told_before_it_and_what_follows_after() -> None:
    node = Secured()
    node.hear(watch(b"a", b"c")._replace(principal=ANN))
    puts = [(Put(b"a", b"%d" % number), ROOT) for number in range(3)]
    message = node.entries(puts[0], (LOSS, ROOT), puts[1], (auth.UserDelete("ann"), ROOT), puts[2])
    told = [*node.hear(message), *node.settle()]
    of_watch = [each for to, each in told if to == "watch"]
    events = [each for each in of_watch if isinstance(each, Events)]
    assert [len(each.events) for each in events] == [1, 1, 1]
    rights = [each for each in of_watch if isinstance(each, WatchRights)]
    assert [of_watch.index(each) for each in rights] == [1, 3]
    (first, second) = (dict(each.readable) for each in rights)
    assert not first[ANN].covers(interval_of(b"a", b""))
    assert second == {ANN: NO_KEY, NOBODY: NO_KEY}
    news = [each for to, each in told if to == "gateway" and isinstance(each, AuthNews)]
    assert [each.users for each in news] == [(), ((2, None),)]
    replies = [each.replies for to, each in told if isinstance(each, Replies)]
    assert [ticket for some in replies for ticket, _ in some] == [1, 2, 3, 4, 5]


def test_the_gateway_hears_of_users_at_the_start_and_of_nothing_while_there_are_none() -> None:
    backend = MemoryBackend()
    commit(machine(backend), backend)
    node = Node(backend)
    node.told.clear()
    node.actor.open()
    (news,) = [each for to, each in node.told if isinstance(each, AuthNews)]
    assert news.is_whole and news.state.enabled
    assert [(user_id, user.name) for user_id, user in news.users if user] == [
        (1, "root"),
        (2, "ann"),
    ]
    empty = Node(MemoryBackend())
    empty.told.clear()
    empty.actor.open()
    assert not [each for _, each in empty.told if isinstance(each, AuthNews)]


def test_when_authentication_begins_watches_of_nobody_end_and_all_go_on_when_it_ends() -> None:
    node = Checked(MemoryBackend())
    told = [*node.apply(*SECURED), *node.settle()]
    (rights,) = [each for _, each in told if isinstance(each, WatchRights)]
    assert rights == WatchRights(((NOBODY, NO_KEY),))
    node.hear(watch(b"a")._replace(principal=ROOT))
    message = node.entries((auth.AuthDisable(), ROOT), (auth.UserDelete("root"), NOBODY))
    told = [*node.hear(message), *node.settle()]
    assert not [each for _, each in told if isinstance(each, WatchRights)]


def test_leases_are_granted_to_users_alone() -> None:
    made = machine()
    assert do(made, LeaseGrant(7, 1_000), NOBODY) == Failure("UserEmpty")
    assert not isinstance(do(made, LeaseGrant(7, 1_000), ANN), Failure)
