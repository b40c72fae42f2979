"""The sentences of the story, from recorded sequences of what nodes and the launcher told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cluster.launcher.story.explaining import GATHER_SECONDS, IN_VAIN_SECONDS, Explaining
from cluster.launcher.story.happenings import LAUNCHER, Happening

Told = tuple[float, str, str, dict[str, Any]]
"""Seconds, the node (or LAUNCHER), the kind and its fields."""


def played(explaining: Explaining, *told: Told) -> None:
    for at, source, kind, fields in told:
        text = str(fields.get("text", kind))
        explaining.hear(Happening(at, at, kind, source, text, fields))


def lines_of(*told: Told, until: float = 60.0) -> list[str]:
    """What is said of these, when all is complete."""
    explaining = Explaining()
    played(explaining, *told)
    return [line.text for line in explaining.take(until)]


def suspected(at: float, node: str, how: str = "connection", silent_ms: float = 3) -> Told:
    fields = {"leader": "n1", "how": how, "term": 4, "silent_ms": silent_ms}
    return at, node, "suspected", fields


def asked(at: float, node: str, pre: bool = True, term: int = 5) -> Told:
    return at, node, "asked_for_votes", {"term": term, "pre": pre}


def voted(at: float, node: str, candidate: str, granted: bool = True, why: str = "") -> Told:
    fields = {"candidate": candidate, "term": 5, "pre": False, "granted": granted, "why": why}
    return at, node, "voted", fields


def elected(at: float, node: str, *votes: str) -> Told:
    return at, node, "elected", {"term": 5, "votes": list(votes), "took_ms": 9}


KILLED: Told = (10.0, LAUNCHER, "command", {"line": "kill leader", "via": "prompt"})
DIED: Told = (
    10.002,
    LAUNCHER,
    "died",
    {"victim": "n1", "pid": 7, "how": "was killed by SIGKILL", "leader": "n1"},
)
PAUSED: Told = (10.0, LAUNCHER, "fault", {"what": "pause", "victims": ["n1"], "text": "paused"})


def test_a_killed_leader() -> None:
    assert lines_of(
        suspected(10.0012, "n2"),
        suspected(10.0013, "n3"),
        DIED,
        asked(10.010, "n3"),
        voted(10.012, "n2", "n3"),
        asked(10.014, "n3", pre=False),
        voted(10.016, "n2", "n3"),
        elected(10.018, "n3", "n3", "n2"),
        (10.02, "n2", "follows", {"leader": "n3", "term": 5}),
        (10.02, "n3", "peer_lost", {"peer": "n1", "how": "connection"}),
        (10.021, "n2", "peer_lost", {"peer": "n1", "how": "connection"}),
        (10.03, LAUNCHER, "leader", {"leader": "n3", "term": 5}),
    ) == [
        "n2 and n3 took n1 for lost: their connections broke",
        "n3 leads now (term 5): n2 voted for it, it was elected 8 ms after it asked",
    ]


def test_a_leader_that_was_killed_by_a_command() -> None:
    lines = lines_of(KILLED, DIED, suspected(10.0012, "n2"), suspected(10.0013, "n3"))
    assert lines == [
        "n2 and n3 took n1 for lost 1.2 and 1.3 ms after the kill: their connections broke"
    ]


def test_a_paused_leader() -> None:
    assert lines_of(
        PAUSED,
        suspected(10.41, "n2", "timeout", 409.6),
        asked(10.41, "n2"),
        voted(10.42, "n3", "n2"),
        elected(10.43, "n2", "n2", "n3"),
        (10.7, "n2", "peer_lost", {"peer": "n1", "how": "timeout"}),
    ) == [
        "n2 took n1 for lost: nothing was heard from it for 410 ms (n1 is paused)",
        "n2 leads now (term 5): n3 voted for it, it was elected 20 ms after it asked",
        "n1 does not answer n2 any more (n1 is paused)",
    ]


def test_a_slow_host_without_any_fault_that_is_known() -> None:
    assert lines_of(
        (9.0, "n2", "near_miss", {"leader": "n1", "silent_ms": 280.4, "timeout_ms": 310}),
        suspected(10.0, "n2", "timeout", 310),
        asked(10.0, "n2"),
        voted(10.001, "n3", "n2", granted=False, why="it still hears n1"),
        until=10.0 + GATHER_SECONDS,
    ) == [
        "n2 heard nothing from its leader n1 for 280 ms: after 310 ms it would have asked for"
        " votes",
        "n2 took n1 for lost: nothing was heard from it for 310 ms",
    ]


def test_a_node_that_is_cut_off_asks_in_vain_and_is_told_once() -> None:
    explaining = Explaining()
    played(explaining, asked(10.0, "n2"), asked(10.5, "n2"), asked(10.9, "n2", term=6))
    assert explaining.take(10.99) == []
    assert explaining.due == 10.0 + IN_VAIN_SECONDS
    said = explaining.take(10.0 + IN_VAIN_SECONDS)
    assert [line.text for line in said] == ["n2 asks for votes in vain: nobody answers"]
    played(explaining, asked(11.5, "n2", term=7))
    assert explaining.take(13.0) == []
    (again,) = explaining.take(30.0)
    assert again.victims == ("n2",)


def test_who_refuses_a_vote_is_told_with_the_reason() -> None:
    cut: Told = (
        9.0,
        LAUNCHER,
        "fault",
        {"what": "isolate", "victims": ["n2"], "text": "n2 hears no other node"},
    )
    no = voted(10.001, "n3", "n2", granted=False, why="it still hears n1")
    assert lines_of(cut, asked(10.0, "n2"), no) == [
        "n2 asks for votes in vain: n3 refuses: it still hears n1 (n2 hears no other node)"
    ]


def test_a_hand_over() -> None:
    assert lines_of(
        suspected(10.0, "n2", "transfer"),
        asked(10.0, "n2", pre=False),
        voted(10.001, "n3", "n2"),
        elected(10.002, "n2", "n2", "n3"),
        (10.003, "n1", "stepped_down", {"term": 5, "why": "it has handed over to n2"}),
    ) == [
        "n1 hands over: it tells n2 to ask for votes at once",
        "n2 leads now (term 5): n3 voted for it, it was elected 2 ms after it asked",
    ]


def test_two_candidates() -> None:
    lines = lines_of(asked(10.0, "n2"), asked(10.001, "n3"), elected(10.01, "n3", "n3", "n1"))
    assert lines == [
        "n3 leads now (term 5): n1 voted for it, it was elected 9 ms after it asked,"
        " n2 had asked, too"
    ]


def test_a_leader_that_nobody_told_of_is_told_all_the_same() -> None:
    told: Told = (10.0, LAUNCHER, "leader", {"leader": "n2", "term": 7})
    assert lines_of(told) == ["n2 leads (term 7)"]
    assert lines_of(told, told) == ["n2 leads (term 7)"]


def test_a_member_that_is_lost_and_found_again_without_a_death() -> None:
    lost = {"peer": "n3", "how": "timeout"}
    found = {"peer": "n3", "away_ms": 2_300}
    assert lines_of(
        (10.0, "n1", "peer_lost", lost),
        (10.4, "n2", "peer_lost", lost),
        (12.3, "n1", "peer_found", found),
        (12.31, "n2", "peer_found", {**found, "away_ms": 2_260}),
    ) == ["n3 does not answer n1 and n2 any more", "n1 and n2 hear n3 again, after 2.3 s"]


def test_a_member_that_is_found_for_the_first_time_is_no_news() -> None:
    assert lines_of((10.0, "n1", "peer_found", {"peer": "n3", "away_ms": None})) == []


def test_a_learner_that_gets_a_vote() -> None:
    assert lines_of(
        (10.0, "n4", "role", {"role": "learner", "term": 5}),
        (11.0, "n4", "role", {"role": "follower", "term": 5}),
    ) == ["n4 has a vote now: it was a learner"]


def test_a_leader_that_hears_no_majority() -> None:
    assert lines_of((10.0, "n1", "stepped_down", {"term": 5, "why": "it hears no majority"})) == [
        "n1 leads no longer (term 5): it hears no majority"
    ]


def test_an_isolated_node_and_the_others_lose_each_other_in_one_line() -> None:
    cut = {"what": "isolate", "victims": ["n3"], "text": "n3 is isolated"}
    pairs = [("n3", "n1"), ("n1", "n3"), ("n2", "n3"), ("n3", "n2")]
    lost = [
        (10.1 + n / 10, node, "peer_lost", {"peer": peer, "how": "timeout"})
        for n, (node, peer) in enumerate(pairs)
    ]
    found = [(14.0, node, "peer_found", {"peer": peer, "away_ms": 3_900}) for node, peer in pairs]
    assert lines_of(
        (10.0, LAUNCHER, "fault", cut),
        *lost,
        (13.9, LAUNCHER, "fault", {"what": "heal", "victims": []}),
        *found,
    ) == [
        "n3 is apart from n1 and n2: neither side hears the other (n3 is isolated)",
        "n3 is together with n1 and n2 again, after 3.9 s",
    ]


def test_a_node_that_comes_and_goes_is_told_twice_and_then_with_its_count() -> None:
    explaining = Explaining()
    lines = []
    slow = {"what": "slow", "victims": ["n2"], "text": "n2 is slow: 120 ms longer"}
    played(explaining, (9.0, LAUNCHER, "fault", slow))
    for second in range(10, 26, 2):
        lost = {"peer": "n2", "how": "timeout"}
        found = {"peer": "n2", "away_ms": 400}
        played(explaining, (second, "n1", "peer_lost", lost))
        lines += explaining.take(second + 0.1)
        played(explaining, (second + 0.4, "n1", "peer_found", found))
        lines += explaining.take(second + 1.9)
    lines += explaining.take(40.0)
    away, back = "n2 does not answer n1 any more", "n1 hears n2 again, after 0.4 s"
    assert [line.text.removesuffix(" (n2 is slow)") for line in lines] == [
        *(away, back),
        *(away, back),
        f"{back} (5 times in 10 s)",
        *(away, back),
    ]


def test_a_removed_member_misses_nobody() -> None:
    assert (
        lines_of(
            (10.0, LAUNCHER, "member", {"what": "removed", "victim": "n4"}),
            (10.5, "n4", "suspected", {"leader": "n1", "how": "timeout", "silent_ms": 500}),
            (10.5, "n4", "peer_lost", {"peer": "n1", "how": "timeout"}),
            (10.6, "n1", "peer_lost", {"peer": "n4", "how": "connection"}),
        )
        == []
    )


def test_near_misses_are_told_now_and_then() -> None:
    miss = {"leader": "n1", "silent_ms": 280, "timeout_ms": 310}
    told: list[Told] = [(10.0 + n, "n2", "near_miss", miss) for n in range(25)]
    assert len(lines_of(*told)) == 3


def test_a_node_that_stops_is_not_missed() -> None:
    lost = {"peer": "n3", "how": "connection"}
    assert lines_of((10.08, "n2", "peer_lost", lost), (10.0, "n3", "stopping", {"why": "x"})) == []


def test_what_was_healed_explains_nothing_any_more() -> None:
    healed: Told = (10.5, LAUNCHER, "fault", {"what": "resume", "victims": ["n1"]})
    assert lines_of(PAUSED, healed, suspected(11.0, "n2", "timeout", 300)) == [
        "n2 took n1 for lost: nothing was heard from it for 300 ms"
    ]


def test_nothing_is_said_before_all_who_notice_have_told() -> None:
    explaining = Explaining()
    played(explaining, suspected(10.0, "n2"))
    assert explaining.take(10.0 + GATHER_SECONDS * 0.9) == []
    assert explaining.due == 10.0 + GATHER_SECONDS


def recorded() -> list[Happening]:
    """What was told in a session of run_cluster.py, in the order in which it was read.

    The leader is killed, started again, the next one stopped, the lead handed on, the leader
    paused and resumed, and isolated and healed.
    """
    lines = (Path(__file__).parent / "recorded" / "session.jsonl").read_text().splitlines()
    return [
        Happening(told.pop("at"), 0.0, told.pop("kind"), told.pop("node"), told.pop("text"), told)
        for told in map(json.loads, lines)
    ]


def test_a_recorded_session_is_explained_line_by_line() -> None:
    explaining = Explaining()
    now, lines = 0.0, []
    for happening in recorded():
        now = max(now, happening.at)
        lines += explaining.take(now)
        explaining.hear(happening)
    lines += explaining.take(now + 60)
    said = [line.text for line in lines if line.last.at > 3.0]
    assert said == [
        "n2 and n3 took n1 for lost 8.0 and 8.0 ms after the kill: their connections broke",
        "n3 leads now (term 3): n2 voted for it, it was elected 6 ms after it asked",
        "n3 stops, and hands over: it tells n2 to ask for votes at once",
        "n2 leads now (term 4): n3 voted for it, it was elected 5 ms after it asked",
        "n2 leads no longer (term 4): it hears no majority of the voters",
        "n2 leads now (term 5): n1 voted for it, it was elected 8 ms after it asked,"
        " n1 had asked, too",
        "n2 hands over: it tells n1 to ask for votes at once",
        "n1 leads now (term 6): n2 voted for it, it was elected 30 ms after it asked",
        "n3 took n1 for lost: nothing was heard from it for 424 ms (n1 is paused)",
        "n3 leads now (term 7): n2 voted for it, it was elected 13 ms after it asked",
        "n1 does not answer n3 and n2 any more (n1 is paused)",
        "n1 leads no longer (term 7): n3 leads term 7",
        "n3 and n2 hear n1 again, after 4.0 s",
        "n1 took n3 for lost: nothing was heard from it for 311 ms (n3 is isolated)",
        "n1 leads now (term 8): n2 voted for it, it was elected 5 ms after it asked",
        "n3 leads no longer (term 7): it hears no majority of the voters (n3 is isolated)",
        "n3 is apart from n1 and n2: neither side hears the other (n3 is isolated)",
        "n3 asks for votes in vain: nobody answers (n3 is isolated)",
        "n3 is together with n1 and n2 again, after 4.0 s",
    ]
