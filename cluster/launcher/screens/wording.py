"""What people read of the journal: which happenings, in which words, and in which style.

The live view and the plain lines show the same. Refuses to know how a line is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from cluster.launcher.story.happenings import EXPLAINED, LAUNCHER, RECORDED, Happening
from cluster.logs import OF_NODES

OF_NODES_SHOWN: Final = frozenset({"slow", "snapshot_installed"})
"""Of what nodes tell, this is shown as it is. The launcher has sentences for the rest: which node
started, who fell silent, who noticed how, who was elected."""

NOT_SHOWN: Final = frozenset({*RECORDED, *EXPLAINED, *(OF_NODES.keys() - OF_NODES_SHOWN)})

STYLES: Final[Mapping[str, str]] = {
    "died": "bold red",
    "failover": "bold",
    "fault": "yellow",
    "member": "cyan",
    "refused": "yellow",
    "slow": "dim",
    "users": "cyan",
    "verdict": "bold",
}
"""The styles of lines, by kind; the others have none."""

TIME_GAP: Final = "  "
"""What stands between the time and the text of a line."""

STEPS_MAX: Final = 20
"""Progress in at most this number of steps is told step by step."""

PROMPT: Final = "prompt"
"""The `via` of a command that was typed at the screen."""


class StoryEntry(NamedTuple):
    """A line of the story, or several: the time of day, the text, and its style."""

    time: str
    text: str
    style: str


def entry_of(happening: Happening) -> StoryEntry | None:
    """What to show of a happening; None: it is not for people."""
    if happening.kind in NOT_SHOWN or _is_on_its_way(happening):
        return None
    text = happening.text
    if happening.kind == "command":
        via = happening.fields.get("via", PROMPT)
        text = f"{'' if via == PROMPT else via}> {happening.fields.get('line', text)}"
    elif happening.source != LAUNCHER:
        text = f"{happening.source}: {text}"
    return StoryEntry(time_of_day(datetime.fromtimestamp(happening.wall)), text, _style(happening))


def time_of_day(moment: datetime) -> str:
    """The time of day to the millisecond, of the zone that the moment has."""
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}"


def _is_on_its_way(happening: Happening) -> bool:
    """Whether it is progress between its begin and its end, in many steps: a bar tells of it."""
    done, total = happening.fields.get("done", 0), happening.fields.get("total", 0)
    return happening.kind == "progress" and total > STEPS_MAX and 0 < done < total


def line_of(happening: Happening) -> str:
    """What people read of a happening; an empty text if it is not for them."""
    entry = entry_of(happening)
    return entry.text if entry is not None else ""


def was_typed(happening: Happening) -> bool:
    """Whether it is a command that was typed at the screen, which has shown it already."""
    return happening.kind == "command" and happening.fields.get("via") == PROMPT


def _style(happening: Happening) -> str:
    if happening.kind == "verdict":
        return "bold green" if happening.fields.get("passed") else "bold red"
    return STYLES.get(happening.kind, "")
