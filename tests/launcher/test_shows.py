"""Assertions, the plans and verdicts of chaos, loads, and the steps of a tour: their words."""

from __future__ import annotations

from itertools import islice
from random import Random
from typing import Any

import pytest

from cluster.launcher.commands.parsing import Words, read_words
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.shows import chaos, tour
from cluster.launcher.shows.faults import DEFAULT_PLAN, FAULTS
from cluster.launcher.shows.judging import FIELDS, Assertion, parse
from cluster.launcher.shows.load import LoadMix
from cluster.launcher.shows.load import parse as parse_load
from cluster.launcher.story.failover import Failover

pytestmark = pytest.mark.quick


def failover(number: int = 1, **fields: Any) -> Failover:
    """A kill of the leader that cost nothing, but for these fields."""
    known: dict[str, Any] = {"write_outage_ms": 20.0, "linearizable": True, **fields}
    return Failover(number, "kill n1", 0.0, "n1", **known)


def judged(source: str, failovers: list[Failover]) -> bool:
    """Whether an assertion holds of these."""
    return parse(source).judge(failovers).passed


# --- assertions -------------------------------------------------------------------------------


def test_a_field_must_hold_of_each_fail_over() -> None:
    two = [failover(1), failover(2, write_outage_ms=250.0)]
    assert judged("write_outage_ms<251", two) and judged(" write_outage_ms >= 20 ", two)
    assert parse("write_outage_ms<200").judge(two) == (
        False,
        "write_outage_ms<200: #2 (kill n1) has 250, 1 of 2 break it",
    )


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("p50(election_ms)==50", True),
        ("p99(election_ms)<=99", True),
        ("p99.5(election_ms) == 100", True),
        ("max(election_ms)<100", False),
        ("min(election_ms)!=1", False),
        ("mean(election_ms)==50.5", True),
        ("sum(lost)==0", True),
    ],
)
def test_a_figure_is_of_all_fail_overs(source: str, holds: bool) -> None:
    hundred = [failover(number, election_ms=float(number)) for number in range(1, 101)]
    assert judged(source, hundred) is holds


def test_what_did_not_happen_is_skipped_and_what_has_not_ended_breaks_every_limit() -> None:
    two = [failover(1, detection_ms=3.0), failover(2, detection_ms=None)]
    assert judged("detection_ms<10", two) and judged("max(detection_ms)<10", two)
    unended = [failover(1), failover(2, write_outage_ms=None)]
    assert not judged("write_outage_ms<10000", unended)
    assert parse("p99(write_outage_ms)<9").judge(unended).why.endswith("it is no end, of 2")


def test_an_assertion_about_nothing_fails() -> None:
    assert parse("lost==0").judge([]) == (False, "lost==0: no fail-over has lost")
    assert not judged("election_ms<10", [failover(election_ms=None)])


def test_linearizable_is_true_or_false() -> None:
    assert judged("linearizable==true", [failover()])
    assert not judged("linearizable==true", [failover(), failover(linearizable=False)])


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("", "an assertion such as"),
        ("write_outage_ms", "an assertion such as"),
        ("write_outage_ms < ", "an assertion such as"),
        ("write_outage_ms<1e9", "an assertion such as"),
        ("write_outage_ms<2*3", "an assertion such as"),
        ("__import__('os').system('true')<1", "an assertion such as"),
        ("p99(max(lost))<1", "an assertion such as"),
        (
            "write_outage<200",
            r"no field write_outage \(did you mean write_outage_ms\?\); there are",
        ),
        ("votes<2", "there is no field votes"),
        ("cause==1", "there is no field cause"),
        ("median(lost)<1", "there is no figure median"),
        ("p101(lost)<1", "there is no figure p101"),
        ("lost==false", "lost is a number: it cannot be false"),
        ("lost<1\nor lost>0", "an assertion such as"),
    ],
)
def test_an_assertion_that_is_wrong_says_so_in_one_line(source: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=f"^{wrong}" if wrong[0] != "n" else wrong) as caught:
        parse(source)
    assert "\n" not in str(caught.value)


def test_every_field_of_the_language_is_one_of_a_fail_over() -> None:
    assert set(FIELDS) <= set(Failover._fields)


# --- chaos ------------------------------------------------------------------------------------


def words(command: str, *typed: str) -> Words:
    """What was typed after a command of these two."""
    return read_words(command, typed, {"chaos": chaos.OPTIONS, "tour": tour.OPTIONS}[command])


def test_a_campaign_is_what_was_typed() -> None:
    line = ("--for", "2m", "--seed=7", "--plan", "pause,kill-leader", "--every", "500ms")
    with pytest.raises(LauncherError, match="--every must be 1 s at least"):
        chaos.campaign_of(words("chaos", *line))
    typed = words("chaos", *line[:-1], "3s", "--assert", "lost==0,p99(write_outage_ms)<200")
    assert chaos.campaign_of(typed) == chaos.Campaign(
        120.0,
        3.0,
        7,
        ("pause", "kill-leader"),
        (
            Assertion("lost==0", "", "lost", "==", 0.0),
            Assertion("p99(write_outage_ms)<200", "p99", "write_outage_ms", "<", 200.0),
        ),
    )
    assert chaos.campaign_of(words("chaos")).plan == DEFAULT_PLAN


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        (("--plan", "kil-leader"), r"no fault kil-leader \(did you mean kill-leader\?\)"),
        (("--plan", ","), "a plan is expected"),
        (("--for", "soon"), "chaos: --for soon: a duration is expected"),
        (("--for", "0s"), "--for must be more than 0 s"),
        (("--for", "48h"), "24h at most"),
        (("--seed", "-1"), "--seed"),
        (("--asert", "lost==0"), r"no option --asert \(did you mean --assert\?\)"),
        (("--assert", "lost==0,"), "an assertion such as"),
        (("2m",), "2m is no option"),
    ],
)
def test_a_campaign_that_is_wrong_says_so_in_one_line(typed: tuple[str, ...], wrong: str) -> None:
    with pytest.raises(LauncherError, match=wrong) as caught:
        chaos.campaign_of(words("chaos", *typed))
    assert "\n" not in str(caught.value)


def test_the_same_seed_plants_the_same_faults_and_each_of_the_plan_as_often() -> None:
    campaign = chaos.Campaign(plan=("pause", "kill-leader", "slow"))
    once, again = (
        [fault.name for fault in islice(chaos.sequence(campaign, Random(7)), 30)] for _ in range(2)
    )
    assert once == again
    assert all(sorted(once[n : n + 3]) == sorted(campaign.plan) for n in range(0, 30, 3))
    assert once != [fault.name for fault in islice(chaos.sequence(campaign, Random(8)), 30)]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"lost": 2}, "2 acknowledged writes were lost"),
        ({"doubled": 1}, "1 writes were done twice"),
        ({"linearizable": False}, "the history of #1 is not linearizable"),
        ({"leases_lost": 3}, "3 leases were lost"),
    ],
)
def test_a_broken_promise_fails_chaos_without_an_assertion(
    fields: dict[str, Any], why: str
) -> None:
    assert chaos.broken([failover(**fields)], ()) == [why]
    assert chaos.broken([failover()], (parse("lost==0"),)) == []


def test_rows_stand_under_the_heads_of_their_columns() -> None:
    fault = FAULTS["kill-leader"]
    head = chaos.row_of(dict(zip(chaos.WIDTHS, chaos.WIDTHS, strict=True)))
    full = chaos.row(fault, "n1", failover(leader_after="n2", detection_ms=1.25, lost=3))
    empty = chaos.row(fault, "n1", None)
    assert len(head) == len(full) == len(empty)
    assert full.split() == ["kill-leader", "n1", "n2", "1.2", "-", "20.0", "-", "-", "0", "3"]


def test_each_kind_of_fault_has_a_line_of_percentiles() -> None:
    struck = [(FAULTS["pause"], failover(write_outage_ms=float(ms))) for ms in range(1, 101)]
    lines = chaos.summary([*struck, (FAULTS["slow"], None)])
    assert lines == [
        "pause: 100 times, write outage p50 50.0 ms, p90 90.0 ms, p99 99.0 ms, max 100 ms",
        "slow: once, write outage not measured",
    ]


# --- loads and tours --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "load"),
    [
        (("put=1,get=4,watch=20 @500/s",), LoadMix(1, 4, 20, 500)),
        (("put=1,get=4,watch=20", "@500/s"), LoadMix(1, 4, 20, 500)),
        (("GET=3", "@50"), LoadMix(0, 3, 0, 50)),
        (("watch=5",), LoadMix(0, 0, 5, 100)),
    ],
)
def test_a_load_is_what_was_typed(typed: tuple[str, ...], load: LoadMix) -> None:
    assert parse_load(typed) == load
    assert parse_load([load.words()]) == load


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ("", "load: what"),
        ("@500/s", "load: what"),
        ("put=1,put=2", "put is given twice"),
        ("@1 @2", "the rate is given twice"),
        ("del=1", "del=1 is not put=N"),
        ("put=many", "put=many is not put=N"),
        ("put=1 @0/s", "the rate must be 1 to 5,000"),
        ("put=1 @9999999/s", "the rate must be 1 to 5,000, not 9,999,999"),
        ("watch=501", "watch must be 0 to 500"),
        ("put=1 @500/h", "@500/h is not"),
    ],
)
def test_a_load_that_is_wrong_says_so_in_one_line(typed: str, wrong: str) -> None:
    with pytest.raises(LauncherError, match=wrong) as caught:
        parse_load([typed])
    assert "\n" not in str(caught.value)


def test_a_tour_has_all_steps_or_those_that_are_named() -> None:
    assert tour.steps_of(words("tour", "--yes")) == list(tour.STEPS)
    assert [step.name for step in tour.steps_of(words("tour", "kill", "lease"))] == [
        "kill",
        "lease",
    ]
    with pytest.raises(LauncherError, match="there is no step recover; there are election, "):
        tour.steps_of(words("tour", "recover"))
