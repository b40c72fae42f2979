"""A session as an animated picture of a terminal: SVG and CSS, without a script.

Lines appear as they did, long pauses are shortened, commands are typed, and the state of each node
stands below. A reader who wants no motion sees the end. It is small enough for a README.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.report import spans
from cluster.launcher.report.spans import RoleSpan
from cluster.launcher.report.svg import MONOSPACE, drawing, element, number, text
from cluster.launcher.screens.wording import line_of, time_of_day
from cluster.launcher.story.happenings import HEALING, Happening

BYTES_MAX: Final = 100_000
"""A picture of this size is too large for a README."""

LINES_MAX: Final = 200
ROWS: Final = 18
"""Lines that are seen at once; older ones leave at the top."""

COLUMNS: Final = 96
LETTER: Final = 8.4
LINE: Final = 20
LEFT: Final = 18
TOP: Final = 46
PANEL: Final = 30

PAUSE_SECONDS: Final = 1.2
"""A longer pause of the session takes this time in the picture."""

LINE_SECONDS: Final = 0.12
"""Two lines do not appear sooner after one another, so that both can be read."""

KEY_SECONDS: Final = 0.06
HOLD_SECONDS: Final = 5.0
"""How long the end is shown before it all begins again."""

PROMPT: Final = "leasehold> "
STATES_MAX: Final = 12
"""States of one node that are shown; a session that has more shows the last of them."""

COLOURS: Final[Mapping[str, str]] = {
    "command": "strong",
    "died": "bad",
    "fault": "bad",
    "refused": "bad",
    "suspected": "warn",
    "asked_for_votes": "warn",
    "near_miss": "warn",
    "elected": "good",
    "leader": "good",
    "ready": "good",
    "failover": "own",
    "verdict": "own",
}
"""The class of a line by its kind; the others are plain."""

ABOUT: Final[Mapping[str, str]] = {"leader": "good", "member": "soft", "near_miss": "warn"}
"""The class of a line that explains, by what it is about."""

MARKS: Final[Mapping[str, tuple[str, str]]] = {
    "leader": ("\N{BLACK STAR}", "good"),
    "follower": ("\N{BLACK CIRCLE}", "plain"),
    "learner": ("\N{WHITE CIRCLE}", "plain"),
    "killed": ("\N{MULTIPLICATION SIGN}", "bad"),
    "paused": ("\N{DOUBLE VERTICAL BAR}", "warn"),
    "candidate": ("\N{BLACK CIRCLE}", "warn"),
    "pre_candidate": ("\N{BLACK CIRCLE}", "warn"),
}
"""The mark and the class of a node's role; the others are soft, with a dot."""

STYLE: Final = """\
.page { fill: #ffffff; stroke: #d0d7de } .cover { fill: #ffffff } .rule { stroke: #d0d7de }
text { font-size: 14px; fill: #1f2328; white-space: pre }
.soft { fill: #6e7781 } .strong { font-weight: 600 } .bad { fill: #b3261e }
.good { fill: #1a7f37 } .warn { fill: #9a6700 } .own { fill: #0969da }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117; stroke: #30363d } .cover { fill: #0d1117 } .rule { stroke: #30363d }
text { fill: #e6edf3 } .soft { fill: #8b949e } .bad { fill: #ff7b72 }
.good { fill: #56d364 } .warn { fill: #d29922 } .own { fill: #58a6ff } }
@media (prefers-reduced-motion: reduce) { * { animation: none !important } }
"""


class TerminalLine(NamedTuple):
    """A line of the terminal: when it appears (seconds of the picture), its words and class.

    `typed` letters at its end are typed one by one from then on.
    """

    at: float
    moment: str
    words: str
    class_: str
    typed: int = 0


class Cut(NamedTuple):
    """A moment of the session (monotonic seconds) and its place in the picture, in seconds."""

    real: float
    shown: float


def picture(happenings: Sequence[Happening], title: str = "A session of run_cluster.py") -> str:
    """The animated picture; raises LauncherError for a session that is empty or too large."""
    told = [each for each in happenings if each.kind == "command" or line_of(each).strip()]
    if not told:
        raise LauncherError("no event has a line to show")
    told = sorted(told, key=lambda each: each.at)[-LINES_MAX:]
    rows, cuts = _rows(told)
    seconds = rows[-1].at + KEY_SECONDS * rows[-1].typed + HOLD_SECONDS
    width = LEFT * 2 + LETTER * (COLUMNS + 14)
    foot = TOP + LINE * ROWS + 8
    height = foot + PANEL
    film = Film(seconds)
    lines = _lines(rows, film, width)
    states = list(_states(spans.of_nodes(happenings), cuts, film, foot, width))
    window = element("rect", x=0, y=TOP - LINE + 4, width=width, height=LINE * ROWS)
    shapes = (
        element("style", f"\n{STYLE}{film.keyframes()}"),
        element("clipPath", window, id="w"),
        element("rect", x=0.5, y=0.5, width=width - 1, height=height - 1, rx=8, class_="page"),
        *_title_bar(title, width),
        element("g", lines, clip_path="url(#w)"),
        element("line", x1=0, y1=foot - 6, x2=width, y2=foot - 6, class_="rule"),
        *states,
    )
    made = drawing(title, width, height, *shapes, font=MONOSPACE)
    if len(made.encode()) > BYTES_MAX:
        raise LauncherError(f"the picture would have {len(made):,} bytes: record a shorter session")
    return f"{made}\n"


class Film:
    """The animations of a picture that lasts so many seconds and then begins again."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._made: list[str] = []

    def animate(self, frames: Iterable[tuple[float, str]]) -> str:
        """The style of an element with these declarations from these seconds on, in order."""
        name = f"a{len(self._made)}"
        written = "".join(f"{self._percent(at)}{{{style}}}" for at, style in frames)
        self._made.append(f"@keyframes {name}{{{written}}}\n")
        return f"animation:{name} {self.seconds:.2f}s step-end infinite"

    def keyframes(self) -> str:
        """All of them, as CSS."""
        return "".join(self._made)

    def _percent(self, at: float) -> str:
        return f"{100 * min(at / self.seconds, 1.0):.2f}%"


def _rows(told: Sequence[Happening]) -> tuple[list[TerminalLine], list[Cut]]:
    """The lines with their times in the picture, and how those belong to the session's."""
    rows: list[TerminalLine] = []
    cuts: list[Cut] = []
    shown, before = 0.4, told[0].at
    for each in told:
        shown += min(max(each.at - before, LINE_SECONDS), PAUSE_SECONDS)
        before = each.at
        cuts.append(Cut(each.at, shown))
        moment = time_of_day(datetime.fromtimestamp(each.wall, UTC))
        class_ = _class(each)
        if each.kind == "command":
            line = _cut(str(each.fields.get("line") or each.text))
            rows.append(TerminalLine(shown, "", _prompt(each) + line, class_, len(line)))
            shown += KEY_SECONDS * len(line)
            continue
        for number_, words in enumerate(line_of(each).splitlines()):
            rows.append(TerminalLine(shown, "" if number_ else moment, _cut(words), class_))
    return rows, cuts


def _prompt(happening: Happening) -> str:
    """What stands before a command: who gave it, where that was not the user."""
    via = str(happening.fields.get("via", "prompt"))
    return PROMPT if via in {"prompt", "ctl", "page"} else f"{via}> "


def _class(happening: Happening) -> str:
    what = str(happening.fields.get("what"))
    if happening.kind == "fault" and what.startswith(HEALING):
        return "good"
    if happening.kind == "explained":
        return ABOUT.get(str(happening.fields.get("about")), "plain")
    return COLOURS.get(happening.kind, "plain")


def _lines(rows: Sequence[TerminalLine], film: Film, width: float) -> str:
    """All lines, below a cover that uncovers them, in a group that moves up when it is full."""
    shapes, covers = [], []
    uncovered: list[tuple[float, str]] = [(0.0, _down(0))]
    scrolled: list[tuple[float, str]] = [(0.0, _down(0))]
    for place, row in enumerate(rows):
        y = TOP + LINE * place
        shapes.append(_line(row, y))
        if row.typed:
            covers.append(_typing(row, y, film))
        uncovered.append((row.at, _down(LINE * (place + 1))))
        if place >= ROWS:
            scrolled.append((row.at, _down(-LINE * (place + 1 - ROWS))))
    bottom = LINE * (len(rows) + 1)
    cover = element(
        "rect",
        x=1,
        y=TOP - LINE + 5,
        width=width - 2,
        height=bottom,
        class_="cover",
        style=f"{uncovered[-1][1]};{film.animate(uncovered)}",
    )
    if len(scrolled) == 1:
        return element("g", *shapes, *covers, cover)
    style = f"{scrolled[-1][1]};{film.animate(scrolled)}"
    return element("g", *shapes, *covers, cover, style=style)


def _line(row: TerminalLine, y: float) -> str:
    x = LEFT if row.class_ == "strong" else LEFT + LETTER * 14
    moment = element("text", text(row.moment), x=LEFT, y=y, class_="soft") if row.moment else ""
    return moment + element("text", text(row.words), x=x, y=y, class_=row.class_)


def _typing(row: TerminalLine, y: float, film: Film) -> str:
    """A cover on the typed letters that moves to the right, letter by letter."""
    steps = f"animation-timing-function:steps({row.typed})"
    across = LETTER * row.typed
    frames = [
        (0.0, "transform:translateX(0);opacity:1"),
        (row.at, f"transform:translateX(0);opacity:1;{steps}"),
        (row.at + KEY_SECONDS * row.typed, f"transform:translateX({across:.0f}px);opacity:1"),
    ]
    return element(
        "rect",
        x=LEFT + LETTER * (len(row.words) - row.typed),
        y=y - LINE + 5,
        width=across + LETTER * 2,
        height=LINE,
        class_="cover",
        style=f"opacity:0;{film.animate(frames)}",
    )


def _states(
    nodes: Mapping[str, Sequence[RoleSpan]],
    cuts: Sequence[Cut],
    film: Film,
    foot: float,
    width: float,
) -> Iterable[str]:
    """The nodes side by side at the foot: a text for each state, of which one is seen at a time."""
    room = (width - 2 * LEFT) / max(len(nodes), 1)
    for place, (name, states) in enumerate(nodes.items()):
        shown = list(states)[-STATES_MAX:]
        for later, state in enumerate(shown):
            mark, class_ = MARKS.get(state.role, ("\N{MIDDLE DOT}", "soft"))
            words = f"{mark} {name} {state.words}"
            is_last = later == len(shown) - 1
            frames = [(0.0, "opacity:0"), (_place(state.began, cuts), "opacity:1")]
            if not is_last:
                frames.append((_place(state.ended, cuts), "opacity:0"))
            style = f"opacity:{1 if is_last else 0};{film.animate(frames)}"
            x, y = LEFT + room * place, foot + 15
            yield element("text", text(words), x=x, y=y, class_=class_, style=style)


def _place(real: float, cuts: Sequence[Cut]) -> float:
    """Where a moment of the session is in the picture: with the last line before it."""
    return max((cut.shown for cut in cuts if cut.real <= real), default=cuts[0].shown)


def _title_bar(title: str, width: float) -> Iterable[str]:
    for place in range(3):
        yield element("circle", cx=20 + 16 * place, cy=16, r=5, class_="soft", opacity=0.5)
    yield element("text", text(title), x=width / 2, y=21, class_="soft", text_anchor="middle")


def _down(pixels: float) -> str:
    return f"transform:translateY({number(pixels)}px)"


def _cut(words: str) -> str:
    return words if len(words) <= COLUMNS else f"{words[: COLUMNS - 1]}\N{HORIZONTAL ELLIPSIS}"
