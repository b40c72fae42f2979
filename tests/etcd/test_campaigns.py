"""How the campaigns judge what they have measured."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.etcd import programs
from tests.etcd.failover import gap_ms
from tests.etcd.load import Level, Round, judged, median_of
from tests.etcd.suites import FAILED, PASSED, SKIPPED, SUITES, judge, outcomes_of

REPORT = """
<testsuites><testsuite>
  <testcase classname="t.A" name="good"/>
  <testcase classname="t.A" name="bad"><failure/></testcase>
  <testcase classname="t.A" name="teardown"/>
  <testcase classname="t.A" name="teardown"><error/></testcase>
  <testcase classname="t.A" name="left"><skipped/></testcase>
</testsuite></testsuites>
"""

ETCD = Round(1_000.0, 5.0, 9.0, 200.0, 0.0)
LEVEL = Level(64, 8, 1_000, rate_ratio_min=0.9, front_us_max=45.0)


def test_how_each_test_of_a_report_ended() -> None:
    assert outcomes_of(ElementTree.fromstring(REPORT)) == {
        "t.A::good": PASSED,
        "t.A::bad": FAILED,
        "t.A::teardown": FAILED,
        "t.A::left": SKIPPED,
    }


@pytest.mark.parametrize(
    ("ours", "is_well"),
    [
        ({"t::a": PASSED, "t::test_snapshot[1]": PASSED}, True),
        ({"t::a": PASSED, "t::test_snapshot[1]": FAILED}, True),
        ({"t::a": FAILED, "t::test_snapshot[1]": PASSED}, False),
        ({"t::test_snapshot[1]": PASSED}, False),
    ],
)
def test_a_suite_is_well_if_nothing_differs_but_what_is_listed(
    ours: dict[str, str], is_well: bool
) -> None:
    suite = next(suite for suite in SUITES if suite.name == "aetcd")
    said: list[str] = []
    theirs = {"t::a": PASSED, "t::test_snapshot[1]": PASSED}
    assert judge(suite, theirs, ours, said.append) is is_well
    assert len(said) == sum(ours.get(test) != theirs[test] for test in theirs)


def test_a_suite_without_tests_is_not_well() -> None:
    said: list[str] = []
    assert not judge(SUITES[0], {}, {}, said.append)


@pytest.mark.parametrize(
    ("rate", "front_us", "is_met"),
    [(900.0, 45.0, True), (899.0, 45.0, False), (900.0, 46.0, False)],
)
def test_a_load_meets_its_bars_or_misses_them(rate: float, front_us: float, is_met: bool) -> None:
    met, said = judged(LEVEL, ETCD, ETCD._replace(rate=rate, front_us=front_us))
    assert met is is_met
    assert bool(said) is not is_met


def test_the_median_is_taken_of_each_figure() -> None:
    rounds = [ETCD, ETCD._replace(rate=3_000.0), ETCD._replace(rate=2_000.0, p50_ms=1.0)]
    assert median_of(rounds) == ETCD._replace(rate=2_000.0)


@pytest.mark.parametrize(
    ("said", "milliseconds"),
    [("n=1104 maxgap=438.25ms\n", 438.25), ("n=9 maxgap=1.5s", 1_500), ("n=9 maxgap=80µs", 0.08)],
)
def test_the_longest_gap_that_the_program_tells(said: str, milliseconds: float) -> None:
    assert gap_ms(said) == pytest.approx(milliseconds)


@pytest.mark.parametrize(
    ("ours", "is_well"),
    [
        (["put: +1", programs.DONE], True),
        (["put: +2", programs.DONE], False),
        (["put: +1"], False),
    ],
)
def test_a_program_must_print_the_same_and_come_to_its_end(ours: list[str], is_well: bool) -> None:
    told: list[str] = []
    assert programs.judge("a run", ["put: +1", programs.DONE], ours, told.append) is is_well
    assert not programs.judge("a run", ["get failed"], ["get failed"], told.append)
