"""A plot of rate and p99 over the number of clients, as the text of an SVG picture.

It is readable on a light and on a dark page, and the same measurements give the same text. Both
axes are logarithmic: equal steps are equal ratios.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil, floor, log10
from typing import Final, NamedTuple

from tests.bench.measure import Measurement

Points = Mapping[tuple[str, int], tuple[Measurement, Measurement]]
"""(operation, clients) -> (etcd, leasehold)."""

OPERATIONS: Final = {"put": "put", "get": "get (linearizable)"}
CLIENTS: Final = (1, 64, 1_000)

PANEL_WIDTH: Final = 330
PANEL_HEIGHT: Final = 170
LEFT: Final = 78
TOP: Final = 64
GAP_X: Final = 90
GAP_Y: Final = 66
BOTTOM: Final = 46

STYLE: Final = """\
    .page { fill: #ffffff; stroke: #d0d7de }
    .grid { stroke: #d0d7de; stroke-width: 1 }
    .text { fill: #57606a; font-size: 12px }
    .title { fill: #1f2328; font-size: 14px; font-weight: 600; text-anchor: middle }
    .middle { text-anchor: middle } .end { text-anchor: end }
    .line { fill: none; stroke-width: 2.4 }
    .etcd { stroke: #9a6700 } .etcd-dot, .etcd-text { fill: #9a6700 }
    .own { stroke: #0969da } .own-dot, .own-text { fill: #0969da }
    .etcd-text, .own-text { font-size: 11.5px; font-weight: 600; text-anchor: middle }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117; stroke: #30363d }
      .grid { stroke: #30363d }
      .text { fill: #9ea7b3 }
      .title { fill: #e6edf3 }
      .etcd { stroke: #d29922 } .etcd-dot, .etcd-text { fill: #d29922 }
      .own { stroke: #58a6ff } .own-dot, .own-text { fill: #58a6ff }
    }"""


class Figure(NamedTuple):
    """What a row of panels shows: the figure's title, and how to take it of a measurement."""

    title: str
    of: Callable[[Measurement], float]


FIGURES: Final = (
    Figure("requests a second", lambda each: each.rate),
    Figure("p99, ms", lambda each: each.p99_ms),
)


class Scale(NamedTuple):
    """A logarithmic axis over whole decades, from the bottom of a panel to its top."""

    low: int
    high: int

    def height(self, value: float) -> float:
        """How far above the panel's bottom a value is."""
        return (log10(value) - self.low) / (self.high - self.low) * PANEL_HEIGHT

    @property
    def decades(self) -> Sequence[int]:
        """The exponents that have a line."""
        return range(self.low, self.high + 1)


def svg(points: Points) -> str:
    """The picture of these points; ValueError when a point that it shows is missing."""
    for operation in OPERATIONS:
        for clients in CLIENTS:
            if (operation, clients) not in points:
                raise ValueError(f"the plot needs {operation} with {clients} clients")
    width = LEFT + len(OPERATIONS) * PANEL_WIDTH + (len(OPERATIONS) - 1) * GAP_X + 36
    height = TOP + len(FIGURES) * PANEL_HEIGHT + (len(FIGURES) - 1) * GAP_Y + BOTTOM
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'aria-labelledby="t"',
        "     font-family=\"-apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, sans-serif\">",
        '  <title id="t">Requests a second and p99 of etcd and Leasehold, with 1, 64 and 1,000 '
        "clients</title>",
        f"  <style>\n{STYLE}\n  </style>",
        f'  <rect class="page" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
        *_legend(width),
    ]
    for row, figure in enumerate(FIGURES):
        values = {
            operation: [
                (figure.of(etcd), figure.of(own))
                for etcd, own in (points[operation, clients] for clients in CLIENTS)
            ]
            for operation in OPERATIONS
        }
        scale = _scale([value for pairs in values.values() for pair in pairs for value in pair])
        for column, (operation, name) in enumerate(OPERATIONS.items()):
            x = LEFT + column * (PANEL_WIDTH + GAP_X)
            y = TOP + row * (PANEL_HEIGHT + GAP_Y)
            panel = Panel(x, y, f"{name}: {figure.title}", scale, values[operation])
            lines += [*panel.axes(), *panel.curve(0, "etcd"), *panel.curve(1, "own")]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _scale(values: Sequence[float]) -> Scale:
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return Scale(low, max(high, low + 1))


def _legend(width: int) -> list[str]:
    middle = width / 2
    return [
        f'  <circle class="etcd-dot" cx="{middle - 90:.1f}" cy="19" r="4.5"/>',
        f'  <text class="text" x="{middle - 80:.1f}" y="23">etcd 3.5.1</text>',
        f'  <circle class="own-dot" cx="{middle + 20:.1f}" cy="19" r="4.5"/>',
        f'  <text class="text" x="{middle + 30:.1f}" y="23">leasehold</text>',
    ]


class Panel(NamedTuple):
    """One figure of one operation: its place, its axis, and (etcd, leasehold) for each CLIENTS."""

    x: int
    y: int
    title: str
    scale: Scale
    values: Sequence[tuple[float, float]]

    @property
    def places(self) -> list[float]:
        """Where the clients' numbers stand, from left to right."""
        step = PANEL_WIDTH / len(CLIENTS)
        return [self.x + step * (number + 0.5) for number in range(len(CLIENTS))]

    def axes(self) -> list[str]:
        """The title, a line for each decade, and the numbers of clients."""
        right, bottom = self.x + PANEL_WIDTH, self.y + PANEL_HEIGHT
        middle = self.x + PANEL_WIDTH / 2
        lines = [f'  <text class="title" x="{middle:.1f}" y="{self.y - 14}">{self.title}</text>']
        for decade in self.scale.decades:
            y = self._y(10.0**decade)
            number = f"{10.0**decade:,.10g}"
            lines += [
                f'  <line class="grid" x1="{self.x}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>',
                f'  <text class="text end" x="{self.x - 7}" y="{y + 4:.1f}">{number}</text>',
            ]
        for x, clients in zip(self.places, CLIENTS, strict=True):
            words = f"{clients:,} client{'s' if clients > 1 else ''}"
            lines.append(
                f'  <text class="text middle" x="{x:.1f}" y="{bottom + 18}">{words}</text>'
            )
        return lines

    def curve(self, side: int, name: str) -> list[str]:
        """The line of etcd (0) or of leasehold (1), with its numbers."""
        dots = [(x, self._y(pair[side])) for x, pair in zip(self.places, self.values, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
        lines = [f'  <polyline class="line {name}" points="{path}"/>']
        for (x, y), pair in zip(dots, self.values, strict=True):
            # The number of the higher point is above it, that of the lower one below.
            is_higher = (pair[side], side) > (pair[1 - side], 1 - side)
            text_y = y - 9 if is_higher else y + 18
            number = _number(pair[side])
            lines += [
                f'  <circle class="{name}-dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>',
                f'  <text class="{name}-text" x="{x:.1f}" y="{text_y:.1f}">{number}</text>',
            ]
        return lines

    def _y(self, value: float) -> float:
        return self.y + PANEL_HEIGHT - self.scale.height(value)


def _number(value: float) -> str:
    """Three digits."""
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
