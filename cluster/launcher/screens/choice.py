"""Which screen shows a cluster: by the user's wish, and by what stdout can show."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from cluster.launcher.screens.editor import Completer, LineEditor
from cluster.launcher.screens.history import PromptHistory
from cluster.launcher.screens.json_lines import JsonScreen
from cluster.launcher.screens.plain import PlainScreen
from cluster.launcher.screens.terminal import can_move_cursor, is_in_foreground
from cluster.launcher.screens.view import Screen

Form = Literal["auto", "plain", "json"]


def screen_for(form: Form, history: Path | None, complete: Completer) -> Screen:
    """The screen of this form; `auto`: the live view if the terminal can show it.

    `history` is the file of the lines typed before; None keeps none.
    """
    if form == "json":
        return JsonScreen(sys.stdout)
    if form == "plain" or not can_be_live():
        return PlainScreen(sys.stdout)
    from cluster.launcher.screens.live import LiveScreen  # noqa: PLC0415 - only where it is seen

    return LiveScreen(LineEditor(PromptHistory(history), complete))


def can_be_live() -> bool:
    """Whether stdout is a terminal in whose foreground this runs, and which can move its cursor."""
    return can_move_cursor() and is_in_foreground(sys.stdout.fileno())
