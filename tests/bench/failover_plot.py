"""The plot of write outages: a panel for each fault, a row for each system, a dot for each outage.

The same measurements give the same text. It is readable on a light and on a dark page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from cluster.launcher.report.quantiles import percentile
from cluster.launcher.report.svg import Axis, decades, drawing, element, label, line

WIDTH: Final = 864
LEFT: Final = 132
RIGHT: Final = 172
TOP: Final = 46
ROW: Final = 26
HEAD: Final = 30
BOTTOM: Final = 56
SPREAD: Final = 13
"""Dots of a row are spread over this height, in the order in which they were measured."""

LEAST_MS: Final = 1.0
"""A shorter outage is drawn here: it is shorter than what the client can tell."""

TUNED_MEANS: Final = "tuned: heartbeats of 10 ms, elections after 100 ms"

STYLE: Final = """
.page { fill: #ffffff; stroke: #d0d7de } .grid { stroke: #d0d7de }
.text { fill: #57606a; font-size: 12px } .title { fill: #1f2328; font-size: 14px; font-weight: 600 }
.end { text-anchor: end } .middle { text-anchor: middle }
.own { fill: #0969da } .etcd { fill: #9a6700 } .dot { opacity: 0.45 }
.own-line { stroke: #0969da; stroke-width: 2.5 } .etcd-line { stroke: #9a6700; stroke-width: 2.5 }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117; stroke: #30363d } .grid { stroke: #30363d }
.text { fill: #9ea7b3 } .title { fill: #e6edf3 }
.own { fill: #58a6ff } .etcd { fill: #d29922 }
.own-line { stroke: #58a6ff } .etcd-line { stroke: #d29922 } }
"""


def svg(outages: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """The picture of these outages: system -> fault -> ms of each."""
    faults = list(dict.fromkeys(fault for of in outages.values() for fault in of))
    every = [ms for of in outages.values() for row in of.values() for ms in row]
    low, high = decades([max(ms, LEAST_MS) for ms in every])
    axis = Axis(low, high, LEFT, WIDTH - RIGHT, by_decades=True)
    panel = HEAD + ROW * len(outages)
    height = TOP + panel * len(faults) + BOTTOM
    title = "For how long writes were unavailable, etcd and Leasehold"
    shapes = [
        element("style", STYLE),
        element("rect", class_="page", x=0.5, y=0.5, width=WIDTH - 1, height=height - 1, rx=8),
        label(title, WIDTH / 2, 26, "title middle"),
        *_grid(axis, height),
        label("p50 / p99, ms", WIDTH - 14, TOP + 20, "text end"),
        label(TUNED_MEANS, 16, height - 12),
    ]
    for number, fault in enumerate(faults):
        y = TOP + panel * number
        shapes.append(label(fault, 16, y + 20, "title"))
        for place, (system, of) in enumerate(outages.items()):
            shapes += _row(system, of.get(fault, ()), axis, y + HEAD + ROW * (place + 0.5))
    return f"{drawing(title, WIDTH, height, *shapes)}\n"


def _grid(axis: Axis, height: float) -> list[str]:
    shapes = []
    for mark in axis.decade_marks():
        x = axis.at(mark)
        shapes.append(line(x, TOP + HEAD - 4, x, height - BOTTOM, "grid"))
        shapes.append(label(f"{mark:,.10g} ms", x, height - BOTTOM + 20, "text middle"))
    return shapes


def _row(system: str, outages: Sequence[float], axis: Axis, y: float) -> list[str]:
    side = "etcd" if system.startswith("etcd") else "own"
    shapes = [label(system, LEFT - 14, y + 4, "text end")]
    if not outages:
        return [*shapes, label("not measured", LEFT + 8, y + 4)]
    step = SPREAD / max(1, len(outages) - 1)
    for number, ms in enumerate(outages):
        at = y - SPREAD / 2 + step * number
        shapes.append(
            element("circle", cx=axis.at(max(ms, LEAST_MS)), cy=at, r=2.6, class_=f"{side} dot")
        )
    median, slow = percentile(outages, 50), percentile(outages, 99)
    x = axis.at(max(median, LEAST_MS))
    shapes.append(line(x, y - 10, x, y + 10, f"{side}-line"))
    shapes.append(label(f"{_ms(median)} / {_ms(slow)}", WIDTH - 14, y + 4, "text end"))
    return shapes


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
