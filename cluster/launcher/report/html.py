"""The report of a session: one HTML file that needs nothing beside it, no script, and no network.

Made of a journal's happenings alone. It is light or dark as its reader prefers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cluster import __version__
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.report import plots, reading, spans
from cluster.launcher.report.plots import FaultMark, Point, Window
from cluster.launcher.report.quantiles import FIGURES, milliseconds, percentile
from cluster.launcher.report.svg import element, text, time_label
from cluster.launcher.screens.wording import time_of_day
from cluster.launcher.story.failover import Failover
from cluster.launcher.story.happenings import RECORDED, Happening
from cluster.private import create

EVENTS_MAX: Final = 2_000
"""The newest events are in the page; the others are in events.jsonl."""

MEASURES: Final = {
    "detection_ms": "detection",
    "election_ms": "election",
    "write_outage_ms": "write outage",
    "read_outage_ms": "read outage",
    "watch_gap_ms": "watch gap",
}
"""The durations of a fail-over, and the heads of their columns, in ms."""

COUNTS: Final = ("delayed", "failed", "lost", "doubled", "leases_lost")
WITHOUT_POINTS: Final = "No request is known: report --html at the prompt draws the probe client's."

STYLE: Final = """\
:root { color-scheme: light dark; --page: #ffffff; --ink: #1f2328; --soft: #57606a;
  --line: #d0d7de; --shade: #f6f8fa; --bad: #b3261e; --leader: #0969da; --follower: #cfe3f7;
  --learner: #d8d0f0; --candidate: #9a6700; --read: #1a7f37; --on: #ffffff }
@media (prefers-color-scheme: dark) { :root { --page: #0d1117; --ink: #e6edf3; --soft: #9ea7b3;
  --line: #30363d; --shade: #161b22; --bad: #ff7b72; --leader: #58a6ff; --follower: #1f3a5c;
  --learner: #3b3160; --candidate: #d29922; --read: #56d364; --on: #0d1117 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 1280px; padding: 2rem 1.25rem 4rem; background: var(--page);
  color: var(--ink); font: 15px/1.5 -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
h1 { font-size: 1.6rem; margin: 0 0 .25rem } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem }
.soft { color: var(--soft); margin: 0 } .bad { color: var(--bad); font-weight: 600 }
figure { margin: 0 } .wide > svg { width: 100%; min-width: 680px; height: auto }
figcaption { color: var(--soft); font-size: 13px } .key { margin-right: 1rem; white-space: nowrap }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: 13px; width: 100% }
th, td { padding: .35rem .4rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; font-variant-numeric: tabular-nums }
th { color: var(--soft); font-weight: 600 } thead th { vertical-align: bottom; white-space: normal }
.words { text-align: left }
td.cause { white-space: normal; min-width: 12rem } tfoot td, tfoot th { background: var(--shade) }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0 0; padding: 0 }
.tile { background: var(--shade); border: 1px solid var(--line); border-radius: 8px;
  padding: .6rem .9rem; min-width: 8.5rem } .tile b { display: block; font-size: 1.25rem }
.tile span { color: var(--soft); font-size: 13px }
summary { cursor: pointer; font-weight: 600; margin-top: 2rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12.5px; line-height: 1.45;
  font-family: ui-monospace, Menlo, "DejaVu Sans Mono", monospace }
"""


def write(path: Path, happenings: Sequence[Happening], points: Sequence[Point] = ()) -> None:
    """Write the report, in place of a file that is there; raises LauncherError."""
    save(path, page(happenings, points))


def save(path: Path, words: str) -> None:
    """Write a file that only its owner reads, in place of one that is there; LauncherError."""
    try:
        with create(path) as file:
            file.write(words.encode())
    except OSError as error:
        raise LauncherError(f"cannot write {path}: {error.strerror}") from None


def page(happenings: Sequence[Happening], points: Sequence[Point] = ()) -> str:
    """The report. Before the first point, the figures of each second's probes are drawn."""
    if not happenings:
        raise LauncherError("nothing has happened yet: there is nothing to report")
    failovers = reading.failovers(happenings)
    began = min(happening.at for happening in happenings)
    window = Window(began, spans.end_of(happenings))
    faults = [_fault(failover) for failover in failovers]
    known_from = min((point.at for point in points), default=window.ended)
    points = [*_probed(happenings, known_from), *points]
    sections = [
        _head(happenings, failovers, window),
        _roles(happenings, faults, window),
        _latencies(points, faults, window),
        _table(failovers, began),
        _events(happenings),
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = (
        '<meta charset="utf-8"/><meta name="viewport" content="width=device-width"/>',
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("title", "Leasehold: report of a session"),
        element("style", STYLE + plots.STYLE),
    )
    body = element("body", element("main", *sections))
    return f"<!doctype html>\n{element('html', element('head', *head), body, lang='en')}\n"


def _head(happenings: Sequence[Happening], failovers: Sequence[Failover], window: Window) -> str:
    first = min(happenings, key=lambda happening: happening.at)
    moment = datetime.fromtimestamp(first.wall, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    length = time_label(round(window.ended - window.began, 1))
    lost = sum(failover.lost for failover in failovers)
    changes = [f for f in failovers if f.leader_after not in {None, f.leader_before}]
    outages = [f.write_outage_ms for f in changes if f.write_outage_ms is not None]
    tiles = [
        ("faults", str(len(failovers)), False),
        ("changes of the leader", str(len(changes)), False),
        ("their median write outage", f"{_quantile(outages, 50)} ms" if outages else "-", False),
        ("their longest write outage", f"{_quantile(outages, 100)} ms" if outages else "-", False),
        ("acknowledged writes lost", str(lost), lost > 0),
        ("history linearizable", *_linearizable(failovers)),
    ]
    verdicts = [happening for happening in happenings if happening.kind == "verdict"]
    said = [
        element("p", text(each.text), class_="soft" if each.fields.get("passed") else "bad")
        for each in verdicts
    ]
    return element(
        "header",
        element("h1", "Report of a session"),
        element("p", text(f"Leasehold {__version__}, {length} from {moment}"), class_="soft"),
        *said,
        element("div", *(_tile(*tile) for tile in tiles), class_="tiles"),
    )


def _tile(name: str, value: str, bad: bool) -> str:
    shown = element("b", text(value), class_="bad" if bad else "good")
    return element("div", shown, element("span", text(name)), class_="tile")


def _linearizable(failovers: Sequence[Failover]) -> tuple[str, bool]:
    answers = [f.linearizable for f in failovers if f.linearizable is not None]
    if not answers:
        return "-", False
    return ("yes", False) if all(answers) else ("no", True)


def _roles(happenings: Sequence[Happening], faults: Sequence[FaultMark], window: Window) -> str:
    rows, leaders = spans.of_nodes(happenings), spans.of_leaders(happenings)
    drawn = plots.timeline(rows, leaders, faults, window)
    present = [span.role for row in [*rows.values(), leaders] for span in row]
    keys = element("figcaption", plots.legend(present), "A number is a term.")
    return element(
        "section",
        element("h2", "Who led, and when"),
        element("figure", _wide("Roles over time", drawn), keys),
    )


def _latencies(points: Sequence[Point], faults: Sequence[FaultMark], window: Window) -> str:
    title = element("h2", "How long requests took")
    if not points:
        return element("section", title, element("p", WITHOUT_POINTS, class_="soft"))
    drawn = plots.scatter(points, faults, window)
    keys = element("figcaption", plots.legend(point.kind for point in points), "A mark is a fault.")
    return element("section", title, element("figure", _wide("Durations over time", drawn), keys))


def _table(failovers: Sequence[Failover], began: float) -> str:
    title = element("h2", "Fail-overs and faults")
    if not failovers:
        return element("section", title, element("p", "none", class_="soft"))
    words = ("#", "at", "cause", "leader", "noticed by")
    heads = [element("th", text(word), class_="words", scope="col") for word in words]
    numbers = [*(f"{name}, ms" for name in MEASURES.values()), *COUNTS, "linearizable"]
    heads += [element("th", text(word.replace("_", " ")), scope="col") for word in numbers]
    table = element(
        "table",
        element("thead", element("tr", *heads)),
        element("tbody", *(_row(failover, began) for failover in failovers)),
        element("tfoot", *_percentiles(failovers, len(words), len(COUNTS) + 1)),
    )
    return element("section", title, _wide("Fail-overs and faults", table))


def _wide(name: str, *children: str) -> str:
    """What may be wider than a window: it scrolls by itself, by keys, too."""
    return element("div", *children, class_="wide", tabindex=0, role="region", aria_label=name)


def _row(failover: Failover, began: float) -> str:
    noticed = " by ".join(filter(None, (failover.detected_by, failover.detected_how))) or "-"
    words = (
        str(failover.number),
        time_label(round(failover.began_at - began, 1)),
        failover.cause,
        f"{failover.leader_before or '-'} \N{RIGHTWARDS ARROW} {failover.leader_after or '-'}",
        noticed,
    )
    cells = [element("td", text(word), class_="words") for word in words]
    cells[2] = element("td", text(failover.cause), class_="words cause")
    cells += [element("td", milliseconds(getattr(failover, name))) for name in MEASURES]
    for name in COUNTS:
        count = getattr(failover, name)
        bad = count and name in {"lost", "doubled", "leases_lost"}
        cells.append(element("td", f"{count:,}", class_="bad" if bad else "count"))
    known = failover.linearizable
    answer = {True: "yes", False: "no", None: "-"}[known]
    cells.append(element("td", answer, class_="bad" if known is False else "count"))
    return element("tr", *cells)


def _percentiles(failovers: Sequence[Failover], before: int, after: int) -> Iterable[str]:
    for name, percent in FIGURES.items():
        cells = [element("th", name, colspan=before, scope="row", class_="words")]
        for measure in MEASURES:
            values = [v for f in failovers if (v := getattr(f, measure)) is not None]
            cells.append(element("td", _quantile(values, percent)))
        cells.append(f'<td colspan="{after}"></td>')
        yield element("tr", *cells)


def _quantile(values: Sequence[float], percent: float) -> str:
    return milliseconds(percentile(values, percent) if values else None)


def _events(happenings: Sequence[Happening]) -> str:
    told = [happening for happening in happenings if happening.kind not in RECORDED]
    shown = told[-EVENTS_MAX:]
    lines = "".join(f"{text(_event(happening))}\n" for happening in shown)
    left = f", the newest {len(shown):,}" if len(shown) < len(told) else ""
    summary = element("summary", f"Every event ({len(told):,}{left})")
    return element("details", summary, element("pre", lines or "none"))


def _event(happening: Happening) -> str:
    moment = time_of_day(datetime.fromtimestamp(happening.wall, UTC))
    source = f"{happening.source}: " if happening.source else ""
    return f"{moment}Z  {source}{happening.text}"


def _fault(failover: Failover) -> FaultMark:
    return FaultMark(
        failover.began_at, f"#{failover.number}", failover.cause, failover.write_outage_ms
    )


def _probed(happenings: Sequence[Happening], until: float) -> list[Point]:
    found = []
    for happening in happenings:
        if happening.kind == "probe" and happening.at <= until:
            for kind, field in (("median", "p50_ms"), ("p99", "p99_ms")):
                value: Any = happening.fields.get(field)
                if isinstance(value, int | float):
                    found.append(Point(happening.at, kind, float(value)))
    return found
