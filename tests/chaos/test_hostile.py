"""A short campaign of hostile clients, of which only safety is judged, and its own measures."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from cluster.curve import new_pair
from tests.chaos.hostile import on_locks, on_peers, on_rights, on_tls
from tests.chaos.hostile.campaign import (
    ALIVE,
    GUARDED,
    REFUSED,
    SAFE,
    SERVING,
    Check,
    Defence,
    Report,
    latencies,
    refused,
    run,
)
from tests.chaos.hostile.intruder import THROUGH
from tests.chaos.hostile.keyed import Keyed
from tests.chaos.hostile.on_http1 import AnswerCounter
from tests.chaos.hostile.person import NOBODY, Person, Secrets
from tests.chaos.hostile.process import KINDS, Plan, Row, plan_of
from tests.chaos.hostile.zmtp import GREETING, endless, http_post, message, ready, version_1
from tests.linearizability import Operation, Outcome


@pytest.mark.campaign
def test_hostile_clients_end_no_node_and_no_front_and_honest_ones_lose_nothing() -> None:
    # Equal: beside other tests, all others may leave the hostile ones nothing at all.
    report = run(10.0, 1, count=len(KINDS), peace_seconds=0.0, defence=Defence(equal=True))
    held = {check.what: check.holds for check in report.checks}
    assert held[ALIVE] and held[SERVING] and held[SAFE], report.text()
    assert all(row.acts for row in report.rows), report.text()


@pytest.mark.campaign
def test_nobody_gets_through_without_a_key_a_certificate_and_a_right(tmp_path: Path) -> None:
    rooms = (on_rights, on_locks, on_tls, on_peers)
    kinds = [kind.name for room in rooms for kind in room.KINDS]
    defence = GUARDED._replace(keyed=Keyed(tmp_path), equal=True)
    report = run(10.0, 1, kinds, count=len(kinds), peace_seconds=0.0, defence=defence)
    held = {check.what: check.holds for check in report.checks}
    assert held[ALIVE] and held[SERVING] and held[SAFE] and held[REFUSED], report.text()
    assert all(row.acts for row in report.rows), report.text()


def test_a_plan_arrives_whole_in_the_process_of_the_hostile_clients() -> None:
    secrets = Secrets({"n1": "aa"}, "a token", {"n1": [b"\0\xff", b""]}, {})
    people = (NOBODY, Person("a user", new_pair(), ("a.crt", "a.key"), True, True))
    plan = Plan({}, {}, {}, ["prying"], 3, "seed", ["stranger", "password"], people, secrets)
    assert plan_of(plan.text()) == plan


def test_who_was_served_without_a_right_is_told() -> None:
    rows = [Row("prying", 1, 5, {"“no”": 4, f"{THROUGH}put by nobody": 1})]
    check = refused(rows)
    assert not check.holds and check.seen == "got through: put by nobody"
    assert refused([Row("prying", 1, 5, {"“no”": 5})]).holds


def _put(client: str, began: float, took: float, outcome: Outcome = Outcome.OK) -> Operation:
    return Operation(client, "put", "k", began, began + took, outcome, value="v")


def test_honest_write_that_was_refused_took_for_ever() -> None:
    peace = [_put("probe", 0.1, 0.01), _put("r1", 0.2, 0.01)]
    harm = [_put("probe", 1.1, 0.04), _put("r1", 1.2, 0.04, Outcome.FAILED)]
    probe, client, _ = latencies([*peace, *harm], (0.0, 1.0), (1.0, 2.0))
    assert probe.holds and "p99 10.0 to 40.0 ms (4.0 times)" in probe.seen
    assert not client.holds and "not served: 0 of 1, then 1 of 1" in client.seen


def test_honest_write_that_became_too_slow_does_not_hold() -> None:
    puts = [_put("probe", 0.1, 0.01), _put("probe", 1.1, 0.06)]
    probe, *_ = latencies(puts, (0.0, 1.0), (1.0, 2.0))
    assert not probe.holds
    unanswered = [puts[0], _put("probe", 1.1, inf, Outcome.UNKNOWN)]
    assert not latencies(unanswered, (0.0, 1.0), (1.0, 2.0))[0].holds


def test_report_names_what_does_not_hold() -> None:
    report = Report(7, 1.0, [], [Check("a", "1", True), Check("b", "2", False)])
    assert report.failed == ["b: 2"]
    assert "seed 7" in report.text()


def test_answers_are_counted_once_wherever_their_bytes_are_cut() -> None:
    said = b"HTTP/1.1 400 Bad Request\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody HTTP/1.1 4"
    for piece in range(1, len(said) + 1):
        counter = AnswerCounter()
        pieces = [said[start : start + piece] for start in range(0, len(said), piece)]
        assert [found for each in pieces for found in counter.take(each)] == ["400", "200"]


def test_frames_by_hand_are_what_a_socket_would_send() -> None:
    assert message(b"a", b"b" * 300) == b"\1\1a" + b"\2" + (300).to_bytes(8, "big") + b"b" * 300
    assert endless(b"x") == b"\1\1x"
    assert version_1(b"x") == b"\1\0" + b"\2\0x"
    assert len(GREETING) == 64
    assert ready(b"PUSH").startswith(b"\4")


def test_post_of_a_web_page_holds_the_request_behind_whole_frames() -> None:
    post = http_post("127.0.0.1", 12_345, b"a request", range(600))
    assert post is not None and post.startswith(b"POST /")
    at = 0
    bodies = []
    while at < len(post) - 500 or b"a request" not in bodies:
        bodies.append(post[at + 2 : at + 1 + post[at]])
        at += 1 + post[at]
    assert bodies[-1] == b"a request"
