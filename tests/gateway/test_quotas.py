"""Quotas of users: buckets that fill with time, whose limits are those of roles."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from actors.gateway.audit_table import Level
from actors.gateway.held import HELD_MS
from actors.gateway.identities import Identities
from actors.gateway.quotas import BURST_MS, Quotas
from actors.gateway.tokens import Token, seal
from actors.language.auth import NOBODY, ROOT, UNKNOWN, AuthNews, AuthState, Principal, User
from actors.language.limits import NO_LIMITS, UserLimits, limits_together
from actors.language.messages import Read
from cluster.faults import FAULTS
from tests.gateway.bench import ONE, SETTINGS, TWO, Bench
from tests.gateway.records import Records

SECRET = b"s" * 32
ANN, BOB = Principal(7, 5), Principal(8, 5)
TOO_MANY = FAULTS["TooManyRequests"]._asdict()


def user(principal: Principal, name: str, *roles: str, valid_from: int = 0) -> tuple[int, User]:
    return principal.user_id, User(principal.user_id, name, b"", (), roles, valid_from)


def news(*users: tuple[int, User | None], enabled: bool = True, **limits: UserLimits) -> AuthNews:
    """Changes of these users, and of the limits of these roles."""
    state = AuthState(enabled, 5, SECRET)
    return AuthNews(state, users, is_whole=False, limits=tuple(limits.items()))


class Desk:
    """Quotas and the users that they are of; ann has the role `r`, and bob none."""

    def __init__(self, **limits: int) -> None:
        self.identities = Identities(lambda: 0)
        self.quotas = Quotas(self.identities.users)
        people = user(ANN, "ann", "r"), user(BOB, "bob")
        self.learn(news(*people, r=UserLimits(**limits)))

    def learn(self, told: AuthNews) -> None:
        self.identities.learn(told)
        self.quotas.learn(told)

    def admitted(self, count: int, who: Principal = ANN, op: str = "put", size: int = 1) -> int:
        """How many of `count` requests at once are admitted."""
        return [self.quotas.admit(who, op, size) for _ in range(count)].count(True)


def test_what_is_allowed_in_a_second_may_come_at_once_and_comes_back_with_time() -> None:
    desk = Desk(requests_per_second=3)
    assert desk.admitted(10) == 3
    desk.quotas.now_ms += 333
    assert desk.admitted(10) == 0, "a third of a second has not passed"
    desk.quotas.now_ms += 1
    assert desk.admitted(10) == 1
    desk.quotas.now_ms += 10 * BURST_MS
    assert desk.admitted(10) == 3, "nobody saves up"


def test_the_last_request_may_be_larger_than_what_is_left_and_is_waited_for() -> None:
    desk = Desk(bytes_per_second=100)
    assert desk.admitted(1, size=99) == 1
    assert desk.admitted(2, size=301) == 1, "or one of more than 100 could never pass"
    desk.quotas.now_ms += 3_000
    assert desk.admitted(1) == 0
    desk.quotas.now_ms += 10
    assert desk.admitted(1) == 1


def test_a_refused_request_costs_nothing() -> None:
    desk = Desk(requests_per_second=5, bytes_per_second=100)
    assert desk.admitted(1, size=300) == 1
    assert desk.admitted(50) == 0
    desk.quotas.now_ms += 2_010
    assert desk.admitted(50, size=0) == 5


@pytest.mark.parametrize("seed", range(20))
def test_no_more_pass_than_a_burst_and_the_rate(seed: int) -> None:
    chance = Random(seed)
    rate, bytes_rate = chance.randint(1, 50), chance.randint(1, 5_000)
    desk = Desk(requests_per_second=rate, bytes_per_second=bytes_rate)
    passed = passed_bytes = 0
    largest = 500
    for _ in range(500):
        desk.quotas.now_ms += chance.choice((0, 0, 1, 7, 100, 1_500))
        size = chance.randint(1, largest)
        if desk.quotas.admit(ANN, "put", size):
            passed += 1
            passed_bytes += size
    elapsed_ms = desk.quotas.now_ms
    assert passed <= rate * (elapsed_ms + BURST_MS) / 1_000
    assert passed_bytes <= bytes_rate * (elapsed_ms + BURST_MS) / 1_000 + largest


def test_renewals_of_leases_are_counted_apart() -> None:
    desk = Desk(requests_per_second=2, bytes_per_second=10)
    assert desk.admitted(9, size=1_000) == 1
    assert desk.admitted(9, op="lease_keep_alive") == 2, "what is written does not cost the locks"
    assert desk.admitted(9, op="watch_cancel") == desk.admitted(9, op="watch_progress") == 9


def test_users_have_quotas_of_their_own() -> None:
    desk = Desk(requests_per_second=2)
    assert desk.admitted(9) == 2
    assert desk.admitted(9, BOB) == 9, "his roles do not limit him"
    assert desk.admitted(9, NOBODY) == desk.admitted(9, UNKNOWN) == 9, "refused by the store"
    desk.learn(news(user(BOB, "bob", "r")))
    assert desk.admitted(9, BOB) == 2, "of the same role, and not of the same bucket"
    assert desk.admitted(9) == 0


def test_the_largest_limit_that_a_role_names_counts() -> None:
    requests, both = UserLimits(5), UserLimits(3, 100, leases=1)
    assert limits_together([]) == NO_LIMITS
    assert limits_together([NO_LIMITS, requests, both]) == UserLimits(5, 100, 0, 1)
    desk = Desk(requests_per_second=2)
    desk.learn(news(user(ANN, "ann", "other", "r", "s"), s=UserLimits(4)))
    assert desk.admitted(9) == 4, "what does not limit requests has no say"


def test_root_has_no_limit() -> None:
    desk = Desk(requests_per_second=1)
    desk.learn(news(user(ANN, "ann", "r", ROOT)))
    assert desk.admitted(9) == 9


def test_what_is_shown_and_worth_nothing_uses_up_nothing() -> None:
    desk = Desk(requests_per_second=2)
    desk.learn(news(user(ANN, "ann", "r", valid_from=6)))
    assert desk.admitted(9) == 9, "the store refuses them"
    assert desk.admitted(9, Principal(7, 6)) == 2


def test_news_change_limits_at_once_and_do_not_fill_buckets() -> None:
    desk = Desk(requests_per_second=2)
    assert desk.admitted(9) == 2
    desk.learn(news(user(BOB, "bob", "r")))
    assert desk.admitted(9) == 0
    desk.learn(news(r=UserLimits(3)))
    assert desk.admitted(9) == 3
    desk.learn(news(r=NO_LIMITS))
    assert not desk.quotas.is_on
    assert desk.admitted(9) == 9


def test_nothing_is_counted_while_requests_are_not_checked_or_no_rate_is_limited() -> None:
    desk = Desk(watches=1, leases=1)
    assert not desk.quotas.is_on, "others count these"
    desk.learn(news(r=UserLimits(1)))
    assert desk.quotas.is_on
    desk.learn(news(enabled=False))
    assert not desk.quotas.is_on


def test_whole_news_forget_what_was_known() -> None:
    desk = Desk(requests_per_second=1)
    whole = news(user(ANN, "ann", "r"))._replace(is_whole=True)
    desk.learn(whole)
    assert not desk.quotas.is_on
    desk.learn(news((7, None), r=UserLimits(1)))
    assert desk.admitted(9) == 9, "a user who was deleted: the store refuses"


def test_what_was_used_of_a_large_limit_is_no_debt_with_a_small_one() -> None:
    desk = Desk(bytes_per_second=10**9)
    assert desk.admitted(1, size=10**9) == 1
    desk.learn(news(r=UserLimits(bytes_per_second=10)))
    assert desk.admitted(1) == 1


# --- the gateway's actor --------------------------------------------------------------------------


def asks(bench: Bench, count: int, **request: Any) -> None:
    token = seal(SECRET, Token(ANN.user_id, ANN.shown_at, 1_000))
    for number in range(count):
        connection = (ONE, TWO)[number % 2]
        bench.ask(connection, id=number, token=token, **request)


def test_a_request_beyond_the_rate_is_refused_and_not_done() -> None:
    bench = Bench()
    bench.actor.receive(news(user(ANN, "ann", "r"), r=UserLimits(requests_per_second=2)))
    asks(bench, 6, op="put", key="k", value="v")
    assert len(bench.proposed()) == 2, "of both connections together"
    bench.wait(HELD_MS - 1)
    assert bench.errors(ONE) == [], "or its client could spin"
    bench.wait(1)
    assert bench.door.replies(ONE) == [{"id": 2, "error": TOO_MANY}, {"id": 4, "error": TOO_MANY}]
    assert bench.errors(TWO) == [TOO_MANY, TOO_MANY]
    bench.wait(1_000)
    asks(bench, 2, op="range", key="k")
    assert [type(each) for each in bench.probes.raft.take()] == [Read, Read]


def test_a_refused_request_says_not_that_it_may_have_been_done() -> None:
    bench = Bench()
    bench.actor.receive(news(user(ANN, "ann", "r"), r=UserLimits(bytes_per_second=1)))
    asks(bench, 2, op="put", key="k", value="v")
    bench.wait(HELD_MS)
    (error,) = bench.errors(TWO)
    assert error == {"code": 8, "message": "etcdserver: too many requests"}


def test_what_is_refused_for_its_form_counts_as_well() -> None:
    bench = Bench()
    bench.actor.receive(news(user(ANN, "ann", "r"), r=UserLimits(requests_per_second=1)))
    asks(bench, 2, op="put")
    assert bench.errors(ONE) == [FAULTS["EmptyKey"]._asdict()]
    bench.wait(HELD_MS)
    assert bench.errors(TWO) == [TOO_MANY]


def test_refusals_that_are_held_are_sent_at_the_end() -> None:
    bench = Bench()
    bench.actor.receive(news(user(ANN, "ann", "r"), r=UserLimits(bytes_per_second=1)))
    asks(bench, 2, op="put", key="k", value="v")
    bench.actor.close()
    assert TOO_MANY in bench.errors(TWO)


def test_an_unlimited_cluster_asks_no_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    monkeypatch.setattr(Quotas, "admit", None)
    bench.actor.receive(news(user(ANN, "ann", "r")))
    asks(bench, 9, op="put", key="k", value="v")
    assert len(bench.proposed()) == 9


def test_an_audit_log_has_who_asked_for_more_than_was_allowed() -> None:
    log = Records()
    bench = Bench(SETTINGS._replace(audit_level=Level.WRITES), audit_log=log)
    bench.actor.receive(news(user(ANN, "ann", "r"), r=UserLimits(bytes_per_second=1)))
    asks(bench, 2, op="put", key="k", value="v")
    (record,) = log.take()
    assert (record["user"], record["outcome"]) == ("ann", "etcdserver: too many requests")
