"""The commands load and report. Those for tour and chaos are in their own modules."""

from __future__ import annotations

from pathlib import Path

from cluster.launcher.commands.desk import Desk
from cluster.launcher.commands.parsing import Words
from cluster.launcher.layout import LauncherError
from cluster.launcher.report import html


def load(desk: Desk, words: Words) -> None:
    """Begin another load, end it, or say what it does."""
    answer = desk.load.order(words.plain, desk.cluster.endpoints)
    if answer:
        desk.say(answer)


def report(desk: Desk, words: Words) -> None:
    """Write the page of the session."""
    file = words.options.get("html")
    if not file or words.plain:
        raise LauncherError("report: where to? For example: report --html report.html")
    path = Path(file).expanduser()
    html.write(path, desk.journal.since(0))
    desk.say(f"the report is in {path}")
