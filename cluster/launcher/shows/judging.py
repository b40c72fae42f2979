"""Assertions about fail-overs, as `--assert 'p99(write_outage_ms)<200'` has them.

It owns their language: VALUE OPERATOR NUMBER, and nothing else is understood. A VALUE is a field of
Failover, of which every fail-over must hold, or one figure of all of them: p50(FIELD), max(FIELD).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Final, NamedTuple

from cluster.launcher.naming import suggestion
from cluster.launcher.report.quantiles import percentile
from cluster.launcher.story.failover import Failover

OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}

FIGURES: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "max": max,
    "min": min,
    "sum": sum,
    "mean": lambda values: sum(values) / len(values),
}

FIELDS: Final = (
    "detection_ms",
    "election_ms",
    "write_outage_ms",
    "read_outage_ms",
    "watch_gap_ms",
    "delayed",
    "failed",
    "lost",
    "doubled",
    "linearizable",
    "leases_kept",
    "leases_lost",
)
"""What can be asserted of; `linearizable` is 1 or 0, and can be compared with true and false."""

OUTAGES: Final = frozenset({"write_outage_ms", "read_outage_ms"})
"""An outage without a figure has not ended: it is longer than any limit."""

_FORM: Final = re.compile(
    r"\s*(?:([a-z]+|p\d{1,3}(?:\.\d{1,3})?)\s*\(\s*(\w+)\s*\)|(\w+))"
    r"\s*(<=|>=|==|!=|<|>)\s*([-+]?\d{1,12}(?:\.\d{1,6})?|true|false)\s*"
)
_EXAMPLE: Final = "such as write_outage_ms<200 or p99(write_outage_ms)<200 is expected"


class Judgement(NamedTuple):
    """Whether an assertion holds, and why, in one line."""

    passed: bool
    why: str


class Assertion(NamedTuple):
    """One assertion; `figure` is empty where each fail-over is judged by itself."""

    source: str
    figure: str
    field: str
    sign: str
    limit: float

    def judge(self, failovers: Sequence[Failover]) -> Judgement:
        """Judge these; where none has a value there is nothing that it holds of, and it fails."""
        valued = [(each, value) for each in failovers if (value := self._value(each)) is not None]
        if not valued:
            return Judgement(False, f"{self.source}: no fail-over has {self.field}")
        holds = OPERATORS[self.sign]
        values = [value for _, value in valued]
        if self.figure:
            value = _figure(self.figure, values)
            words = f"{self.source}: it is {_shown(value)}, of {len(values)}"
            return Judgement(holds(value, self.limit), words)
        broken = [(each, value) for each, value in valued if not holds(value, self.limit)]
        if not broken:
            return Judgement(True, f"{self.source}: holds of all {len(values)}")
        first, value = broken[0]
        words = f"#{first.number} ({first.cause}) has {_shown(value)}"
        return Judgement(False, f"{self.source}: {words}, {len(broken)} of {len(values)} break it")

    def _value(self, failover: Failover) -> float | None:
        value = getattr(failover, self.field)
        if value is None:
            return inf if self.field in OUTAGES else None
        return float(value)


def parse(source: str) -> Assertion:
    """The assertion of this text; ValueError with one line on what is wrong."""
    found = _FORM.fullmatch(source)
    if found is None:
        raise ValueError(f"an assertion {_EXAMPLE}")
    figure, inner, bare, sign, limit = found.groups()
    field = inner or bare
    if field not in FIELDS:
        meant = suggestion(field, FIELDS)
        raise ValueError(f"there is no field {field}{meant}; there are {', '.join(FIELDS)}")
    if figure and not _is_figure(figure):
        meant = suggestion(figure, FIGURES)
        raise ValueError(
            f"there is no figure {figure}{meant}; there are {', '.join(FIGURES)} and p0 to p100"
        )
    is_word = limit in {"true", "false"}
    if is_word and field != "linearizable":
        raise ValueError(f"{field} is a number: it cannot be {limit}")
    number = float(limit == "true") if is_word else float(limit)
    return Assertion(source.strip(), figure or "", field, sign, number)


def _is_figure(name: str) -> bool:
    return name in FIGURES or (name[1:2].isdigit() and float(name[1:]) <= 100)


def _figure(name: str, values: Sequence[float]) -> float:
    return FIGURES[name](values) if name in FIGURES else percentile(values, float(name[1:]))


def _shown(value: float) -> str:
    return "no end" if value == inf else f"{value:.4g}"
