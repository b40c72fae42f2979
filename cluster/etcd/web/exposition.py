"""The text form of metrics that Prometheus scrapes (exposition format 0.0.4).

Written here because etcd's names must stay as they are: the usual library appends `_total` to the
name of each counter. It refuses to know what a metric means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

MetricKind = Literal["counter", "gauge", "histogram"]
Labels = Mapping[str, str]

NO_LABELS: Final[Labels] = {}


class Exposition:
    """Families of metrics, in the order in which they were added."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def family(self, name: str, kind: MetricKind, help_text: str) -> None:
        """Begin a family; its samples follow."""
        self._lines.append(f"# HELP {name} {help_text}")
        self._lines.append(f"# TYPE {name} {kind}")

    def sample(self, name: str, value: float, labels: Labels = NO_LABELS) -> None:
        """One sample of the family that was begun last."""
        self._lines.append(f"{name}{_labels(labels.items())} {_number(value)}")

    def histogram(self, name: str, value: Mapping[str, Any], labels: Labels = NO_LABELS) -> None:
        """A histogram as the node gives it: `bounds` (seconds), cumulative `counts`, `sum`.

        `counts` has one item more than `bounds`, for everything.
        """
        counts = value["counts"]
        for bound, count in zip((*value["bounds"], "+Inf"), counts, strict=True):
            shown = bound if isinstance(bound, str) else _number(bound)
            self._lines.append(f"{name}_bucket{_labels((*labels.items(), ('le', shown)))} {count}")
        self._lines.append(f"{name}_sum{_labels(labels.items())} {_number(value['sum'])}")
        self._lines.append(f"{name}_count{_labels(labels.items())} {counts[-1]}")

    def text(self) -> bytes:
        """All families."""
        return ("\n".join(self._lines) + "\n").encode()


def _labels(labels: Iterable[tuple[str, str]]) -> str:
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{inner}}}" if inner else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    """As Go's client writes numbers: whole ones without a point, large ones with an exponent."""
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
