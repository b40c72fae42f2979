"""`chaos`: faults at random for some time, a row for each, and a verdict.

The same seed plants the same faults in the same order. It fails when an acknowledged write is lost
or done twice, a history is not linearizable, a lease is lost, the cluster does not recover, or an
assertion does not hold.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from random import Random, SystemRandom
from typing import Final, NamedTuple

from cluster.launcher.commands.desk import Desk
from cluster.launcher.commands.parsing import Option, Words, number, seconds
from cluster.launcher.errands.errand import Errand
from cluster.launcher.naming import suggestion
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.report.quantiles import FIGURES, milliseconds, percentile
from cluster.launcher.shows import judging
from cluster.launcher.shows.faults import DEFAULT_PLAN, FAULTS, ChaosFault
from cluster.launcher.shows.judging import Assertion
from cluster.launcher.shows.show import Stage
from cluster.launcher.story.failover import Failover

SECONDS_DEFAULT: Final = 60.0
SECONDS_MAX: Final = 24 * 3_600.0
EVERY_DEFAULT: Final = 8.0
EVERY_MIN: Final = 1.0
SEED_MAX: Final = 1 << 31
HEAD_EVERY: Final = 10
"""Rows between two heads of the table."""

WIDTHS: Final = {
    "fault": 17,
    "hit": 9,
    "leader": 9,
    "detect": 8,
    "elect": 8,
    "write": 8,
    "read": 8,
    "watch": 8,
    "failed": 8,
    "lost": 5,
}
"""The columns of the rolling table; durations in ms."""


def _plan(text: str) -> tuple[str, ...]:
    names = tuple(name for name in text.replace(" ", ",").split(",") if name)
    for name in names:
        if name not in FAULTS:
            meant = suggestion(name, FAULTS)
            raise ValueError(f"there is no fault {name}{meant}; there are {', '.join(FAULTS)}")
    if not names:
        raise ValueError(f"a plan is expected, such as {','.join(DEFAULT_PLAN[:2])}")
    return names


def _assertions(text: str) -> tuple[Assertion, ...]:
    return tuple(judging.parse(part) for part in text.split(","))


OPTIONS: Final = (
    Option("--for", "how long, such as 2m (default 60s)", seconds),
    Option("--every", "the time between two faults (default 8s)", seconds),
    Option("--seed", "a number: the same faults in the same order", number),
    Option("--plan", f"which faults, with commas: {', '.join(FAULTS)}", _plan),
    Option("--assert", "such as 'write_outage_ms<200,p99(election_ms)<100'", _assertions),
)


class Campaign(NamedTuple):
    """What chaos is to do."""

    seconds: float = SECONDS_DEFAULT
    every: float = EVERY_DEFAULT
    seed: int = 0
    plan: tuple[str, ...] = DEFAULT_PLAN
    assertions: tuple[Assertion, ...] = ()


def begin(desk: Desk, words: Words) -> Errand[None] | None:
    """Begin chaos, or end it (`chaos stop`)."""
    if words.plain == ("stop",):
        desk.shows.stop()
        return None
    campaign = campaign_of(words)
    if len(desk.cluster.voters) < 3:
        raise LauncherError("chaos needs 3 voters: fewer do not survive the loss of one")
    return desk.shows.begin(desk, "chaos", partial(_script, campaign=campaign))


def campaign_of(words: Words) -> Campaign:
    """What these words ask for; LauncherError with one line on what is wrong."""
    if words.plain:
        raise LauncherError(f"chaos: {words.plain[0]} is no option: chaos --for 2m --seed 7")
    given = words.options
    campaign = Campaign(
        seconds=given.get("for", SECONDS_DEFAULT),
        every=given.get("every", EVERY_DEFAULT),
        seed=given.get("seed", SystemRandom().randrange(10_000)),
        plan=given.get("plan", DEFAULT_PLAN),
        assertions=given.get("assert", ()),
    )
    if not 0 < campaign.seconds <= SECONDS_MAX:
        raise LauncherError("chaos: --for must be more than 0 s, and 24h at most")
    if campaign.every < EVERY_MIN:
        raise LauncherError(f"chaos: --every must be {EVERY_MIN:g} s at least")
    if campaign.seed > SEED_MAX:
        raise LauncherError(f"chaos: --seed must be {SEED_MAX} at most")
    return campaign


def sequence(campaign: Campaign, random: Random) -> Iterator[ChaosFault]:
    """The faults, without an end: each of the plan as often as any other."""
    while True:
        names = list(campaign.plan)
        random.shuffle(names)
        yield from (FAULTS[name] for name in names)


def _script(stage: Stage, campaign: Campaign) -> Errand[str]:
    random = Random(campaign.seed)
    began = time.monotonic()
    plan = ",".join(campaign.plan)
    stage.tell(f"chaos for {campaign.seconds:g} s, seed {campaign.seed}, plan {plan}")
    struck: list[tuple[ChaosFault, Failover | None]] = []
    yield from _until_healthy(stage)
    for fault in sequence(campaign, random):
        due = began + len(struck) * campaign.every
        if max(due, time.monotonic()) >= began + campaign.seconds:
            break
        yield from stage.until(partial(_is_due, due), "the next fault", campaign.seconds)
        mark = stage.mark
        hit = yield from fault.strike(stage, random)
        yield from _until_healthy(stage)
        failover = yield from _measured(stage, mark, fault)
        struck.append((fault, failover))
        _tell_row(stage, len(struck), fault, hit, failover, time.monotonic() - began, campaign)
    for line in summary(struck):
        stage.tell(line)
    wrong = broken(stage.failovers(), campaign.assertions)
    stage.check(not wrong, f"{'; '.join(wrong)} (seed {campaign.seed})")
    return f"{len(struck)} faults, no acknowledged write lost (seed {campaign.seed})"


def _is_due(at: float) -> bool:
    return time.monotonic() >= at


def _until_healthy(stage: Stage) -> Errand[None]:
    """Wait until every member runs and names the one leader."""

    def is_healthy() -> bool:
        return all(node.running for node in stage.desk.cluster.members) and stage.is_agreed()

    yield from stage.until(is_healthy, "all nodes to follow one leader")


def _measured(stage: Stage, mark: int, fault: ChaosFault) -> Errand[Failover | None]:
    """What the fault cost. It is measured to its end, so that the next one has its own measures."""
    prober = stage.desk.prober

    def is_known() -> bool:
        known = not fault.unseats or any(each.leader_after for each in stage.failovers(mark))
        return known and (prober is None or not prober.is_measuring)

    yield from stage.until(is_known, f"the measures of {fault.name}")
    found = stage.failovers(mark)
    # A fault that is mended may cost something again: the longest outage is the fault's.
    return max(found, key=lambda each: each.write_outage_ms or 0.0) if found else None


# --- what is told ---


def _tell_row(
    stage: Stage,
    number_: int,
    fault: ChaosFault,
    hit: str,
    failover: Failover | None,
    elapsed: float,
    campaign: Campaign,
) -> None:
    if number_ % HEAD_EVERY == 1:
        stage.tell(row_of(dict(zip(WIDTHS, WIDTHS, strict=True))))
    stage.tell(row(fault, hit, failover))
    done, total = round(min(elapsed, campaign.seconds)), round(campaign.seconds)
    text = f"chaos: {done} of {total} s"
    stage.desk.journal.tell(
        "progress", text, what="chaos", victim="", done=done, total=max(total, 1)
    )


def row(fault: ChaosFault, hit: str, failover: Failover | None) -> str:
    """A row of the rolling table."""
    cells = {"fault": fault.name, "hit": hit}
    if failover is not None:
        cells |= {
            "leader": failover.leader_after or "-",
            "detect": milliseconds(failover.detection_ms),
            "elect": milliseconds(failover.election_ms),
            "write": milliseconds(failover.write_outage_ms),
            "read": milliseconds(failover.read_outage_ms),
            "watch": milliseconds(failover.watch_gap_ms),
            "failed": f"{failover.failed}",
            "lost": f"{failover.lost}",
        }
    return row_of(cells)


def row_of(cells: dict[str, str]) -> str:
    words = list(WIDTHS)[:3]
    return "".join(
        f"{cells.get(name, '-'):<{width}}" if name in words else f"{cells.get(name, '-'):>{width}}"
        for name, width in WIDTHS.items()
    )


def summary(struck: Sequence[tuple[ChaosFault, Failover | None]]) -> list[str]:
    """A line for each kind of fault: how often, and for how long writes were unavailable."""
    lines = []
    for name in dict.fromkeys(fault.name for fault, _ in struck):
        found = [failover for fault, failover in struck if fault.name == name]
        outages = [f.write_outage_ms for f in found if f and f.write_outage_ms is not None]
        figures = ", ".join(
            f"{figure} {milliseconds(percentile(outages, percent))} ms"
            for figure, percent in FIGURES.items()
            if outages
        )
        times = "once" if len(found) == 1 else f"{len(found)} times"
        lines.append(f"{name}: {times}, write outage {figures or 'not measured'}")
    return lines


def broken(failovers: Sequence[Failover], assertions: Sequence[Assertion]) -> list[str]:
    """What does not hold: the promises of every cluster first, then the assertions."""
    lost = sum(each.lost for each in failovers)
    doubled = sum(each.doubled for each in failovers)
    leases = sum(each.leases_lost for each in failovers)
    wrong = [f"#{each.number}" for each in failovers if each.linearizable is False]
    promises = [
        (lost, f"{lost} acknowledged writes were lost"),
        (doubled, f"{doubled} writes were done twice"),
        (wrong, f"the history of {', '.join(wrong)} is not linearizable"),
        (leases, f"{leases} leases were lost"),
    ]
    found = [why for is_broken, why in promises if is_broken]
    judged = [assertion.judge(failovers) for assertion in assertions]
    return found + [each.why for each in judged if not each.passed]
