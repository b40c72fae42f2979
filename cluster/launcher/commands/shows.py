"""The commands load and report. Those for tour and chaos are in their own modules."""

from __future__ import annotations

from pathlib import Path

from cluster.launcher.commands.desk import Desk
from cluster.launcher.commands.parsing import Words
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.probing import report as costs
from cluster.launcher.report import html
from cluster.launcher.report.plots import Point


def load(desk: Desk, words: Words) -> None:
    """Begin another load, end it, or say what it does."""
    answer = desk.load.order(words.plain, desk.cluster.direct_endpoints)
    if answer:
        desk.say(answer)


def report(desk: Desk, words: Words) -> None:
    """Say what fail-overs have cost, or write the page of the session."""
    file, as_json = words.options.get("html"), words.options.get("json")
    if words.plain or (file is not None and as_json):
        raise LauncherError("report takes nothing, or --json, or --html FILE")
    if file is not None:
        if not file:
            raise LauncherError("report: where to? For example: report --html report.html")
        path = Path(file).expanduser()
        html.write(path, desk.journal.since(0), _points(desk))
        desk.say(f"the report is in {path}")
        return
    failovers = desk.prober.failovers if desk.prober is not None else ()
    desk.say(costs.as_json(failovers) if as_json else costs.summary(failovers))


def _points(desk: Desk) -> list[Point]:
    """The writes and reads of the probe client that are kept: the newest."""
    samples = desk.prober.samples if desk.prober is not None else ()
    return [
        Point(sample.at, sample.kind, sample.ms, sample.ok)
        for sample in samples
        if sample.kind in {"write", "read"}
    ]
