"""The launcher's page under many events: its frames beside those of an idle page, and its memory.

A real headless Chromium looks at a page without a cluster. Rounds alternate: the page is left
alone, gets a thousand events in one moment, and a thousand changed keys. Then another page is told
hours of everything that a busy cluster tells: what the second hour adds to its memory is what each
further one would.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cluster.launcher.probing.prober import Sample
from cluster.launcher.report.quantiles import percentile
from cluster.launcher.story.happenings import LAUNCHER
from tests.launcher.chromium import Chromium, chromium
from tests.launcher.staging import Stage, play, row, view

ROUNDS: Final = 5
EVENTS: Final = 1_000
PHASE_MS: Final = 3_000
SETTLE_MS: Final = 4_000

HOUR_SECONDS: Final = 3_600
STEP_SECONDS: Final = 10
SAMPLES: Final = 200
MESSAGES: Final = 100
VIEWS: Final = 5
"""Of a busy cluster in a second: requests of the probe client, recorded messages, and views."""

COUNT_FRAMES: Final = """() => {
    window.frames_ms = [];
    let last = null;
    const note = (now) => {
        if (last !== null) window.frames_ms.push(now - last);
        last = now;
        requestAnimationFrame(note);
    };
    requestAnimationFrame(note);
}"""

TAKE_FRAMES: Final = """() => {
    const taken = window.frames_ms;
    window.frames_ms = [];
    return taken;
}"""

CHANGE_KEYS: Final = """async (count) => {
    const { Keys } = await import('./keys.js');
    window.bench_keys ??= new Keys(() => {});
    const keys = window.bench_keys;
    const revision = (window.bench_revision ?? 0) + 1;
    window.bench_revision = revision;
    const events = Array.from({ length: count }, (_, number) => ({
        type: 'PUT', key: btoa(`key ${number}`), value: btoa(`value ${revision}`), bytes: 9,
        revision, version: revision,
    }));
    keys.hear({ events, skipped: 0 });
    const work = () => {
        keys.work(performance.now() + 5);
        requestAnimationFrame(work);
    };
    if (revision === 1) requestAnimationFrame(work);
}"""
"""Tells a key browser of its own (the stage has no cluster) that keys have changed."""

TITLES: Final = f"{'frames, ms':14}{'p50':>8}{'p99':>8}{'longest':>10}{'frames':>9}"


def run(rounds: int, hours: int, say: Callable[[str], None]) -> None:
    """Measure, and print a line for each thing."""
    with chromium() as browser:
        with _open_page(browser) as (stage, page):
            play(stage, time.monotonic())
            page.locator("#failovers tr").wait_for()
            page.wait_for_timeout(SETTLE_MS)  # what a page costs once is not of the events
            _frames(stage, page, rounds, say)
        with _open_page(browser) as (stage, page):
            _memory(stage, page, hours, say)


@contextmanager
def _open_page(browser: Chromium) -> Iterator[tuple[Stage, Any]]:
    with tempfile.TemporaryDirectory() as directory:
        stage = Stage(Path(directory))
        try:
            with browser.page(stage.page.url) as page:
                yield stage, page
        finally:
            stage.page.close()


def _frames(stage: Stage, page: Any, rounds: int, say: Callable[[str], None]) -> None:
    things: dict[str, Callable[[], None]] = {
        "idle": lambda: None,
        f"{EVENTS:,} events": lambda: _tell_at_once(stage),
        f"{EVENTS:,} keys": lambda: page.evaluate(CHANGE_KEYS, EVENTS),
    }
    found: dict[str, list[float]] = {name: [] for name in things}
    page.evaluate(COUNT_FRAMES)
    for _ in range(rounds):
        for name, do in things.items():
            page.evaluate(TAKE_FRAMES)
            do()
            page.wait_for_timeout(PHASE_MS)
            found[name] += page.evaluate(TAKE_FRAMES)
    say(TITLES)
    for name, frames in found.items():
        say(_line(name, sorted(frames)))


def _line(name: str, frames: Sequence[float]) -> str:
    p50, p99 = percentile(frames, 50), percentile(frames, 99)
    return f"{name:14}{p50:>8.0f}{p99:>8.0f}{frames[-1]:>10.0f}{len(frames):>9,}"


def _tell_at_once(stage: Stage) -> None:
    for number in range(EVENTS):
        victim = f"n{number % 3 + 1}"
        kind = ("fault", "died", "elected", "explained", "role")[number % 5]
        fields = {"what": "slow", "victims": [victim], "victim": victim, "role": "follower"}
        stage.tell(time.monotonic(), kind, victim, f"event {number}", **fields)


def _memory(stage: Stage, page: Any, hours: int, say: Callable[[str], None]) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    say(f"{'memory':14}{'heap MB':>8}{'nodes':>8}")
    say(_memory_line("at the start", session))
    begins = time.monotonic() - hours * HOUR_SECONDS
    for hour in range(hours):
        for second in range(0, HOUR_SECONDS, STEP_SECONDS):
            at = begins + hour * HOUR_SECONDS + second
            _tell_seconds(stage, at)
            # The page takes a step before it is told the next one.
            page.locator(f"#events li[data-at='{round(at, 6)}']").wait_for(state="attached")
        say(_memory_line(f"after {hour + 1} h", session))


def _memory_line(name: str, session: Any) -> str:
    session.send("HeapProfiler.collectGarbage")
    told = {
        each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]
    }
    return f"{name:14}{told['JSHeapUsedSize'] / 1e6:>8.1f}{told['Nodes']:>8,.0f}"


def _tell_seconds(stage: Stage, at: float) -> None:
    """Some seconds of everything, with a fail-over in them, and at last one event to wait for."""
    for second in range(STEP_SECONDS):
        now = at - STEP_SECONDS + second
        stage.page.samples(list(_samples(now)))
        for number in range(MESSAGES):
            fields = {"to": "n2", "what": "append", "term": 3, "entries": 1, "bytes": 90}
            stage.tell(now + number / MESSAGES, "message", "n1", "", **fields)
        for number in range(VIEWS):
            rows = [row(f"n{one}", term=3, revision=int(now * 100) + number) for one in (1, 2, 3)]
            stage.look(view(*rows, leader="n1"), now + number / VIEWS)
        figures = {"writes": 100, "reads": 100, "p50_ms": 1.0, "p99_ms": 3.0, "failed": 0}
        stage.tell(now, "probe", LAUNCHER, "", **figures)
    failover = {"number": int(at), "cause": "kill n1", "began_at": at - 5, "write_outage_ms": 20.0}
    stage.tell(at - 4, "failover", LAUNCHER, "n2 leads in place of n1", **failover)
    stage.tell(at, "fault", LAUNCHER, "n1 is slow", what="slow", victims=["n1"])


def _samples(at: float) -> Iterable[Sample]:
    for number in range(SAMPLES):
        kind = "write" if number % 2 else "read"
        yield Sample(at + number / SAMPLES, kind, 1.0 + number % 7, True)
