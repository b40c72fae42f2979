"""The two plots of a session: who was what, and how long requests took, with marks for faults.

Both are SVG that is readable on a light and on a dark page; the page gives the colours as
variables of CSS. It refuses to know where the values come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from cluster.launcher.report.quantiles import milliseconds
from cluster.launcher.report.spans import ROLES, RoleSpan
from cluster.launcher.report.svg import (
    Axis,
    decades,
    drawing,
    element,
    label,
    line,
    text,
    time_label,
    time_marks,
)

WIDTH: Final = 1_000
LEFT: Final = 78
RIGHT: Final = 14
ROW: Final = 30
BAR: Final = 20
TOP: Final = 34
BOTTOM: Final = 30
SCATTER_HEIGHT: Final = 240
LETTER: Final = 6.6
"""The width of a letter of 11 pixels, about."""

GAP: Final = 5.0
"""The least space between the names of two faults."""

POINTS_MAX: Final = 6_000
"""Of more points, the slowest of each piece of time are drawn."""

STYLE: Final = """\
.text { fill: var(--soft); font-size: 12px }
.small { font-size: 11px }
.strong { fill: var(--ink); font-weight: 600 }
.middle { text-anchor: middle } .end { text-anchor: end }
.grid { stroke: var(--line); stroke-width: 1 }
.fault { stroke: var(--bad); stroke-width: 1.2; stroke-dasharray: 4 3 }
.fault-text { fill: var(--bad); font-size: 11px; font-weight: 600 }
.outage { fill: var(--bad); opacity: 0.16 }
.role { stroke: var(--page); stroke-width: 1 }
.role-text { font-size: 11px; fill: var(--on) }
.leader { fill: var(--leader) } .follower { fill: var(--follower) }
.learner { fill: var(--learner) } .candidate { fill: var(--candidate) }
.pre_candidate { fill: var(--candidate); opacity: 0.6 }
.starting { fill: var(--soft); opacity: 0.45 } .paused { fill: var(--soft); opacity: 0.75 }
.killed { fill: var(--bad) } .stopped, .removed { fill: var(--soft); opacity: 0.25 }
.no-leader { fill: var(--bad) }
.write, .p99 { fill: var(--leader); opacity: 0.7 }
.read, .median { fill: var(--read); opacity: 0.7 }
.failed { stroke: var(--bad); stroke-width: 1.5 }
"""


KINDS: Final = ("write", "read", "median", "p99")


ON_COLOUR: Final = {"leader", "killed", "paused", "candidate", "no leader"}
"""The roles whose colour is strong: words on it have the colour of the page."""


class FaultMark(NamedTuple):
    """A mark: a fault at this time (monotonic seconds), for this many ms without writes."""

    at: float
    name: str
    cause: str
    outage_ms: float | None = None


class Point(NamedTuple):
    """A request: when it was answered or given up, its kind (one of KINDS), how long it took.

    Where single requests were not kept, a point is the `median` or the `p99` of a second.
    """

    at: float
    kind: str
    ms: float
    ok: bool = True


class Window(NamedTuple):
    """The time that a plot shows, in monotonic seconds."""

    began: float
    ended: float

    @property
    def axis(self) -> Axis:
        """Where times are, from the left to the right."""
        return Axis(self.began, max(self.ended, self.began + 0.1), LEFT, WIDTH - RIGHT)


def timeline(
    rows: Mapping[str, Sequence[RoleSpan]],
    leaders: Sequence[RoleSpan],
    faults: Sequence[FaultMark],
    window: Window,
) -> str:
    """A row for each node and one for the cluster's leader, above one axis of time."""
    height = TOP + ROW * (len(rows) + 1) + BOTTOM
    bottom = height - BOTTOM
    shapes = [*_times(window, bottom)]
    for number, (name, spans) in enumerate([("leader", leaders), *rows.items()]):
        y = TOP + ROW * number
        shapes.append(label(name, LEFT - 10, y + ROW / 2 + 4, "text strong end"))
        shapes += [_bar(span, window.axis, y + (ROW - BAR) / 2) for span in spans]
    shapes += _faults(faults, window.axis, bottom)
    return drawing("Roles of the nodes over time", WIDTH, height, *shapes)


def scatter(points: Sequence[Point], faults: Sequence[FaultMark], window: Window) -> str:
    """Every request by its time and its duration, by decades of ms; failed ones are crosses."""
    height = TOP + SCATTER_HEIGHT + BOTTOM
    bottom = height - BOTTOM
    shown = _thinned(points, window)
    low, high = decades([max(point.ms, 0.01) for point in shown] or [1.0])
    scale = Axis(low, high, bottom, TOP, by_decades=True)
    shapes = [*_outages(faults, window.axis, bottom), *_times(window, bottom)]
    for mark in scale.decade_marks():
        y = scale.at(mark)
        shapes.append(line(LEFT, y, WIDTH - RIGHT, y, "grid"))
        shapes.append(label(f"{mark:,.10g} ms", LEFT - 10, y + 4, "text end"))
    shapes += [
        _point(point, window.axis.at(point.at), scale.at(max(point.ms, low))) for point in shown
    ]
    shapes += _faults(faults, window.axis, bottom)
    return drawing("Time that requests took", WIDTH, height, *shapes)


def legend(classes: Iterable[str]) -> str:
    """What the colours of these roles or kinds of points mean, as HTML."""
    wanted = set(classes)
    return "".join(_key(name) for name in (*ROLES, *KINDS) if name in wanted)


def _key(name: str) -> str:
    square = element("rect", width=12, height=12, rx=2, class_=_class(name))
    picture = element("svg", square, width=12, height=12, aria_hidden="true")
    return element("span", picture, text(f" {name.replace('_', '-')}"), class_="key")


def _times(window: Window, bottom: float) -> Iterable[str]:
    axis = window.axis
    for mark in time_marks(axis.high - axis.low):
        x = axis.at(axis.low + mark)
        yield line(x, TOP, x, bottom, "grid")
        yield label(time_label(mark), x, bottom + 18, "text middle")


def _bar(span: RoleSpan, axis: Axis, y: float) -> str:
    x, end = axis.at(span.began), axis.at(span.ended)
    width = max(end - x, 1.0)
    words = span.words
    title = f"{words}, {time_label(span.began - axis.low)} to {time_label(span.ended - axis.low)}"
    shapes = [
        element("title", text(title)),
        element(
            "rect", x=x, y=y, width=width, height=BAR, rx=3, class_=f"role {_class(span.role)}"
        ),
    ]
    if width > LETTER * len(words) + 10:
        strong = span.role in ON_COLOUR or span.role not in ROLES
        class_ = "role-text" if strong else "text small"
        shapes.append(label(words, x + 6, y + BAR / 2 + 4, class_))
    return element("g", *shapes)


def _class(name: str) -> str:
    """The class of a span or a point: a span with a leader's name has the leader's."""
    return name.replace(" ", "-") if name in (*ROLES, *KINDS) else "leader"


def _faults(faults: Sequence[FaultMark], axis: Axis, bottom: float) -> Iterable[str]:
    places = [axis.at(fault.at) for fault in faults]
    for number, (fault, x) in enumerate(zip(faults, places, strict=True)):
        room = (places[number + 1] if number + 1 < len(places) else WIDTH) - x
        words = f"{fault.name} {fault.cause}".strip()
        outage = f", no writes for {milliseconds(fault.outage_ms)} ms" if fault.outage_ms else ""
        shapes = [element("title", text(f"{words}{outage}")), line(x, TOP - 8, x, bottom, "fault")]
        shown = _fitting(words, fault.name, room - GAP)
        if shown:
            shapes.append(label(shown, x, TOP - 14, "fault-text"))
        yield element("g", *shapes)


def _fitting(words: str, name: str, room: float) -> str:
    """As much of the words as there is room for, at least the name, or nothing."""
    letters = int(room / LETTER)
    if len(words) <= letters:
        return words
    if letters > len(name) + 5:
        return f"{words[: letters - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}"
    return name if len(name) <= letters else ""


def _outages(faults: Sequence[FaultMark], axis: Axis, bottom: float) -> Iterable[str]:
    for fault in faults:
        if fault.outage_ms:
            x, end = axis.at(fault.at), axis.at(fault.at + fault.outage_ms / 1_000)
            width = max(end - x, 1.5)
            yield element("rect", x=x, y=TOP, width=width, height=bottom - TOP, class_="outage")


def _point(point: Point, x: float, y: float) -> str:
    if not point.ok:
        return element(
            "path", d=f"M{x - 3:.1f} {y - 3:.1f}l6 6m0 -6l-6 6", class_="failed", fill="none"
        )
    return element("circle", cx=x, cy=y, r=1.7, class_=point.kind)


def _thinned(points: Sequence[Point], window: Window) -> list[Point]:
    """The slowest of each piece of time, and all that failed, if all are more than POINTS_MAX."""
    inside = [point for point in points if window.began <= point.at <= window.ended]
    if len(inside) <= POINTS_MAX:
        return inside
    piece = (window.ended - window.began) / (POINTS_MAX / 4)
    slowest: dict[tuple[int, str, bool], Point] = {}
    for point in inside:
        key = (int((point.at - window.began) / piece), point.kind, point.ok)
        if key not in slowest or point.ms > slowest[key].ms:
            slowest[key] = point
    return sorted(slowest.values())
